/*
 * monitor.c
 *	  Multipliers and p-values under the three monitoring designs.
 *
 * Under group_sequential a p-value is the smallest level at which the design
 * would have rejected at this look (a repeated p-value, Jennison and Turnbull
 * 1999, ch. 9).  It is exact at the announced levels and read between them; a
 * decision is only ever taken at such a level.
 */
#include "decide/monitor.h"

#include <math.h>
#include <string.h>

static int
sides_of(GrTestKind kind)
{
	return kind == GR_TEST_GOAL ? 2 : 1;
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
	row->known = 0;
	gr_look_init(row->state, sides_of(kind));
	return row;
}

bool
gr_monitor_level(GrMonitor *m, GrTestKind kind, double level)
{
	return m->kind != GR_GROUP_SEQUENTIAL || gr_monitor_row(m, kind, level) != NULL;
}

void
gr_monitor_p_levels(GrMonitor *m, GrTestKind kind)
{
	static const double levels[GR_P_LEVELS] = {0.4, 0.1, 1e-2, 1e-4};

	for (int i = 0; i < GR_P_LEVELS; i++)
		(void) gr_monitor_level(m, kind, levels[i]);
}

/*
 * The bounds of a row at all looks that are not known yet, this evaluation's last
 * if it is one.
 */
static void
fill_row(GrMonitor *m, GrBoundRow *row)
{
	GrSpending	spending = row->kind == GR_TEST_BREACH ? m->spending :
		GR_SPENDING_OBRIEN_FLEMING;
	int			sides = sides_of(row->kind);
	int			nlooks = m->nlooks + (m->is_look ? 1 : 0);

	for (int k = row->known; k < nlooks; k++)
	{
		double		t = k < m->nlooks ? m->fraction[k] : m->now;
		double		spent = gr_alpha_spent(spending, m->phi, t, row->level, sides);

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
gr_monitor_multiplier(GrMonitor *m, GrTestKind kind, double level,
					  const GrOccasion *at)
{
	int			sides = sides_of(kind);
	GrBoundRow *row;

	switch (m->kind)
	{
		case GR_FIXED:
			return gr_t_isf(level / sides, at->df);
		case GR_ALWAYS_VALID:
			return gr_mixture_multiplier(at->n, gr_mixture_rho(m->n_star, at->alpha, sides),
										 level, sides);
		case GR_GROUP_SEQUENTIAL:
			row = find_row(m, kind, level);
			return row ? row_bound(m, row, at->look) : INFINITY;
	}
	return INFINITY;
}

/*
 * Between two levels: linear from the bounds to what they would be at a single
 * look, so that at a single look it is exact.
 */
static double
between(double z, double z0, double level0, double z1, double level1, int sides)
{
	double		q0 = gr_normal_isf(level0 / sides);
	double		q1 = gr_normal_isf(level1 / sides);

	return sides * gr_normal_sf(q0 + (q1 - q0) * (z - z0) / (z1 - z0));
}

/*
 * Levels and p-values are multiplied and divided by the number of tests: keep off
 * a level by more than rounding moves them, on the side where z lies.
 */
#define CLEAR_OF_LEVEL 1e-12

static double
group_sequential_p(GrMonitor *m, GrTestKind kind, double z, int look)
{
	double		below_z = 0,	/* largest bound that z reaches */
				below_level = 1,
				above_z = INFINITY, /* smallest bound that z does not reach */
				above_level = 0;
	bool		reached = false;
	int			sides = sides_of(kind);

	for (int i = 0; i < m->nrows; i++)
	{
		GrBoundRow *row = &m->rows[i];
		double		b;

		if (row->kind != kind)
			continue;
		b = row_bound(m, row, look);
		if (z >= b && (!reached || row->level < below_level))
		{
			reached = true;
			below_z = b;
			below_level = row->level;
		}
		else if (z < b && row->level > above_level)
		{
			above_z = b;
			above_level = row->level;
		}
	}
	if (!reached)
	{
		/* above every announced level: as far from the bound as a single look is */
		if (!isfinite(above_z))
			return 1;
		z = gr_normal_isf(above_level / sides) - (above_z - z);
		return fmin(1, fmax(above_level * (1 + CLEAR_OF_LEVEL), sides * gr_normal_sf(z)));
	}
	below_level *= 1 - CLEAR_OF_LEVEL;
	if (isfinite(above_z) && above_z > below_z && above_level < below_level)
		return fmax(above_level * (1 + CLEAR_OF_LEVEL),
					fmin(below_level, between(z, below_z, below_level, above_z, above_level, sides)));
	if (above_level > 0)
		return below_level;
	/* beyond the smallest level: the tail of the normal from there on */
	return below_level * exp(gr_log_normal_cdf(-z) - gr_log_normal_cdf(-below_z));
}

double
gr_monitor_p(GrMonitor *m, GrTestKind kind, double z, const GrOccasion *at)
{
	int			sides = sides_of(kind);

	if (sides == 2)
		z = fabs(z);
	switch (m->kind)
	{
		case GR_FIXED:
			return fmin(1, sides * gr_t_sf(z, at->df));
		case GR_ALWAYS_VALID:
			return fmin(1, exp(-gr_mixture_log_e(z, at->n,
												 gr_mixture_rho(m->n_star, at->alpha, sides),
												 sides)));
		case GR_GROUP_SEQUENTIAL:
			return group_sequential_p(m, kind, z, at->look);
	}
	return 1;
}
