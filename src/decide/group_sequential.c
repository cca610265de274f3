/*
 * group_sequential.c
 *	  Multipliers and p-values where alpha is spent over looks.
 *
 * A p-value is the smallest level at which the design
 * would have rejected at this look (a repeated p-value, Jennison and Turnbull
 * 1999, ch. 9).  It is exact at the announced levels and read between them; a
 * decision is only ever taken at such a level.
 */
#include "decide/monitor.h"

#include <math.h>
#include <string.h>

static GrSpending
spending_of(const GrMonitor *m, GrTestKind kind)
{
	return kind == GR_TEST_BREACH ? m->spending : GR_SPENDING_OBRIEN_FLEMING;
}

/* The information fraction of a look, this evaluation's included. */
static double
fraction_of(const GrMonitor *m, int look)
{
	return look < m->nlooks ? m->fraction[look] : m->now;
}

static GrBoundRow *
find_row(GrMonitor *m, GrTestKind kind, double level)
{
	for (int i = 0; i < m->nrows; i++)
		if (m->rows[i].kind == kind && m->rows[i].level == level)
			return &m->rows[i];
	return NULL;
}

GrBoundRow *
gr_monitor_row(GrMonitor *m, GrTestKind kind, double level)
{
	GrBoundRow *row = find_row(m, kind, level);

	if (row || m->nrows >= m->rows_room)
		return row;
	row = &m->rows[m->nrows++];
	row->kind = kind;
	row->level = level;
	row->announced = false;
	row->known = 0;
	gr_look_init(row->state, gr_sides_of(kind));
	return row;
}

/* Levels of statistics that are beyond all others. */
static const double deep_levels[GR_DEEP_LEVELS] = {1e-6, 1e-8, 1e-11, 1e-15, 1e-20, 1e-26};

/*
 * The bounds of a row at all looks that are not known yet, this evaluation's last
 * if it is one.
 */
static void
fill_row(GrMonitor *m, GrBoundRow *row)
{
	int			sides = gr_sides_of(row->kind);
	int			nlooks = m->nlooks + (m->is_look ? 1 : 0);

	for (int k = row->known; k < nlooks; k++)
	{
		double		t = fraction_of(m, k);
		double		spent = gr_alpha_spent(spending_of(m, row->kind), m->phi, t, row->level, sides);

		if (m->breathe)
			m->breathe();
		if (gr_look_bound(row->state, t, spent, &row->bound[k], m->scratch) == GR_OK)
			memcpy(row->state, m->scratch, sizeof(GrLookState));
		else
			row->bound[k] = INFINITY;	/* undecided, never decided wrongly */
	}
	row->known = nlooks;
}

/* The row's bound at a look; where there is none, nothing is rejected. */
static double
row_bound(GrMonitor *m, GrBoundRow *row, int look)
{
	if (row->known < m->nlooks + (m->is_look ? 1 : 0))
		fill_row(m, row);
	return look < 0 || look >= row->known ? INFINITY : row->bound[look];
}

double
gr_looks_multiplier(GrMonitor *m, GrTestKind kind, double level, const GrOccasion *at)
{
	GrBoundRow *row = find_row(m, kind, level);

	return row ? row_bound(m, row, at->look) : INFINITY;
}

/*
 * A level and the multiplier at which this look alone would spend what the level's
 * function has spent by now; at a first look that is the bound itself.
 */
static double
single_look_z(const GrMonitor *m, GrTestKind kind, int look, double level)
{
	int			sides = gr_sides_of(kind);

	return gr_normal_isf(gr_alpha_spent(spending_of(m, kind), m->phi, fraction_of(m, look), level, sides) / sides);
}

static double
single_look_level(const GrMonitor *m, GrTestKind kind, int look, double z)
{
	int			sides = gr_sides_of(kind);

	return gr_alpha_of_spent(spending_of(m, kind), m->phi, fraction_of(m, look),
							 fmin(1.0, sides * gr_normal_sf(z)), sides);
}

/* A level with its bound at the look. */
typedef struct LevelBound
{
	double		level;
	double		z;
} LevelBound;

/*
 * Between two levels: linear from the bounds to what they would be if this look were the
 * only one, so that at a first look it is exact.
 */
static double
between(const GrMonitor *m, GrTestKind kind, int look, double z, LevelBound low, LevelBound high)
{
	double		q0 = single_look_z(m, kind, look, low.level);
	double		q1 = single_look_z(m, kind, look, high.level);

	return single_look_level(m, kind, look, q0 + (q1 - q0) * (z - low.z) / (high.z - low.z));
}

/* Beyond all levels: as far from the nearest level's bound as a single look would be. */
static double
beyond(const GrMonitor *m, GrTestKind kind, int look, double z, LevelBound nearest)
{
	return single_look_level(m, kind, look, single_look_z(m, kind, look, nearest.level) + z - nearest.z);
}

/*
 * Levels and p-values are multiplied and divided by the number of tests: keep off
 * a level by more than rounding moves them, on the side where z lies.
 */
#define CLEAR_OF_LEVEL 1e-12

/*
 * The announced levels that z lies between: "reached" has the largest bound that z
 * reaches (level 0: none), "missed" the smallest that it does not (level 0: none).
 */
static void
find_levels(GrMonitor *m, GrTestKind kind, double z, int look, LevelBound *reached, LevelBound *missed)
{
	*reached = (LevelBound) {0, 0};
	*missed = (LevelBound) {0, INFINITY};
	for (int i = 0; i < m->nrows; i++)
	{
		GrBoundRow *row = &m->rows[i];
		LevelBound	at = {row->level, 0};

		if (row->kind != kind || !row->announced)
			continue;
		at.z = row_bound(m, row, look);
		if (z >= at.z && (reached->level == 0 || at.level < reached->level))
			*reached = at;
		else if (z < at.z && at.level > missed->level)
			*missed = at;
	}
}

/* A level that spends too little for a bound is none to read p-values from. */
static bool
announce_if_bounded(GrMonitor *m, GrTestKind kind, double level, int look)
{
	GrBoundRow *row = gr_monitor_row(m, kind, level);

	if (row && isfinite(row_bound(m, row, look)))
		row->announced = true;
	return row && row->announced;
}

double
gr_looks_p(GrMonitor *m, GrTestKind kind, double z, const GrOccasion *at)
{
	int			look = at->look;
	LevelBound	reached,
				missed;
	double		p;

	find_levels(m, kind, z, look, &reached, &missed);
	/* smaller levels are computed when a statistic is beyond the others */
	for (int i = 0; reached.level > 0 && missed.level == 0 && i < GR_DEEP_LEVELS; i++)
		if (deep_levels[i] < reached.level && announce_if_bounded(m, kind, deep_levels[i], look))
			find_levels(m, kind, z, look, &reached, &missed);
	if (reached.level == 0 && !isfinite(missed.z))
		return 1;
	/* above every level: as far from its bound as in the normal, so that no two are alike */
	if (reached.level == 0)
	{
		p = gr_sides_of(kind) * gr_normal_sf(gr_normal_isf(missed.level / gr_sides_of(kind)) - (missed.z - z));
		return fmin(1, fmax(missed.level * (1 + CLEAR_OF_LEVEL), p));
	}
	reached.level *= 1 - CLEAR_OF_LEVEL;
	if (missed.level > 0 && missed.level < reached.level && isfinite(missed.z))
		p = between(m, kind, look, z, reached, missed);
	else
		p = beyond(m, kind, look, z, reached);
	return fmax(missed.level * (1 + CLEAR_OF_LEVEL), fmin(reached.level, p));
}
