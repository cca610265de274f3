/*
 * design.c
 *	  The monitoring designs, one row each.
 *
 * Whatever depends on the design is a column of the table, so a new design is a value
 * of GrMonitoring and a row here.  Elsewhere nothing asks which design it is.
 */
#include "decide/words.h"
#include "stats/joint.h"

#include <math.h>
#include <string.h>

/* ---- fixed: Student's t, once --------------------------------------------- */

static double
fixed_multiplier(GrMonitor *m, GrTestKind kind, double level, const GrOccasion *at)
{
	(void) m;
	return gr_t_isf(level / gr_sides_of(kind), at->df);
}

static double
fixed_p(GrMonitor *m, GrTestKind kind, double z, const GrOccasion *at)
{
	(void) m;
	return fmin(1, gr_sides_of(kind) * gr_t_sf(z, at->df));
}

static double
pearson_p(const int64_t *counts, const double *shares, int n, double past)
{
	double		statistic,
				df,
				p;

	(void) past;
	(void) gr_srm(counts, shares, n, &statistic, &df, &p);
	return p;
}

static double
fixed_radius(const GrMonitor *m, double alpha, double n)
{
	(void) m;
	(void) n;
	return gr_ellipse_radius(alpha);
}

static void
describe_fixed(const GrMonitor *m, const char *spending, bool over, char *buf, size_t size)
{
	(void) m;
	(void) spending;
	gr_append(buf, size, "fixed: one test at the end; the test is %s", over ? "over" : "not over");
}

/* ---- always_valid: a normal mixture, at any time ---------------------------- */

static double
mixture_multiplier(GrMonitor *m, GrTestKind kind, double level, const GrOccasion *at)
{
	int			sides = gr_sides_of(kind);

	return gr_mixture_multiplier(at->n, gr_mixture_rho(m->n_star, at->alpha, sides), level, sides);
}

static double
mixture_log_e(const GrMonitor *m, GrTestKind kind, double z, const GrOccasion *at)
{
	int			sides = gr_sides_of(kind);

	return gr_mixture_log_e(z, at->n, gr_mixture_rho(m->n_star, at->alpha, sides), sides);
}

static double
mixture_p(GrMonitor *m, GrTestKind kind, double z, const GrOccasion *at)
{
	return fmin(1, exp(-mixture_log_e(m, kind, z, at)));
}

static double
mixture_radius(const GrMonitor *m, double alpha, double n)
{
	return gr_ellipse_radius_mixture(alpha, n, gr_mixture_rho(m->n_star, alpha, 2));
}

static void
describe_mixture(const GrMonitor *m, const char *spending, bool over, char *buf, size_t size)
{
	(void) spending;
	(void) over;
	gr_append(buf, size, "always valid: normal mixture tuned to %.0f units; p-values are least values"
			  " over the recorded checks", m->n_star);
}

/* ---- of every design that is looked at more than once ------------------------ */

/* Concentration of the prior of the sequential test of the split. */
#define SRM_PRIOR 10000

static double
sequential_split_p(const int64_t *counts, const double *shares, int n, double past)
{
	double		p = 1;
	double		log_e;

	if (gr_srm_sequential(counts, shares, n, SRM_PRIOR, true, &log_e) == GR_OK)
		p = fmin(1, exp(-log_e));
	return past < p ? past : p;
}

/* ---- group_sequential: alpha spent over looks (group_sequential.c) ------------ */

static void
describe_looks(const GrMonitor *m, const char *spending, bool over, char *buf, size_t size)
{
	(void) over;
	gr_append(buf, size, "group sequential: breach tests spend by %s", spending);
	if (m->spending == GR_SPENDING_POWER)
		gr_append(buf, size, " (exponent %g)", m->phi);
	gr_append(buf, size, ", safety and primary by obrien_fleming; %d looks recorded", m->nlooks);
	if (m->nlooks > 0)
		gr_append(buf, size, ", the last at fraction %.4g", m->fraction[m->nlooks - 1]);
	gr_append(buf, size, "; a check now, at fraction %.4g, would %sbe a look", m->now, m->is_look ? "" : "not ");
}

/* ---- the table ---------------------------------------------------------------- */

static const GrDesign designs[GR_DESIGNS] = {
	[GR_ALWAYS_VALID] = {
		.name = "always_valid",
		.any_time = true,
		.multiplier = mixture_multiplier,
		.p = mixture_p,
		.log_e = mixture_log_e,
		.segments_by = "e-BH",
		.split_by = "Dirichlet-multinomial e-process, least",
		.split_p = sequential_split_p,
		.radius = mixture_radius,
		.describe = describe_mixture,
	},
	[GR_GROUP_SEQUENTIAL] = {
		.name = "group_sequential",
		.has_looks = true,
		.multiplier = gr_looks_multiplier,
		.p = gr_looks_p,
		.segments_by = "BH",
		.split_by = "Dirichlet-multinomial e-process, least",
		.split_p = sequential_split_p,
		.describe = describe_looks,
	},
	[GR_FIXED] = {
		.name = "fixed",
		.once = true,
		.reads_df = true,
		.multiplier = fixed_multiplier,
		.p = fixed_p,
		.segments_by = "BH",
		.split_by = "Pearson chi-square",
		.split_p = pearson_p,
		.radius = fixed_radius,
		.describe = describe_fixed,
	},
};

const GrDesign *
gr_design_of(GrMonitoring monitoring)
{
	return &designs[monitoring];
}

int
gr_design_named(const char *name)
{
	for (int i = 0; name && i < GR_DESIGNS; i++)
		if (strcmp(designs[i].name, name) == 0)
			return i;
	return -1;
}

void
gr_design_names(const char *names[GR_DESIGNS + 1])
{
	for (int i = 0; i < GR_DESIGNS; i++)
		names[i] = designs[i].name;
	names[GR_DESIGNS] = NULL;
}

GrMonitoring
gr_design_by_default(bool units_are_planned)
{
	return units_are_planned ? GR_GROUP_SEQUENTIAL : GR_ALWAYS_VALID;
}

/* ---- what a statistic is worth, under whatever design (monitor.h) ------------------- */

bool
gr_monitor_level(GrMonitor *m, GrTestKind kind, double level)
{
	GrBoundRow *row;

	if (!gr_design_of(m->kind)->has_looks)
		return true;
	row = gr_monitor_row(m, kind, level);
	if (row)
		row->announced = true;
	return row != NULL;
}

void
gr_monitor_p_levels(GrMonitor *m, GrTestKind kind)
{
	static const double levels[GR_P_LEVELS] = {0.4, 0.1, 1e-2, 1e-4};

	for (int i = 0; i < GR_P_LEVELS; i++)
		(void) gr_monitor_level(m, kind, levels[i]);
}

bool
gr_monitor_awaits_look(const GrMonitor *m)
{
	return gr_design_of(m->kind)->has_looks && !m->is_look;
}

double
gr_monitor_multiplier(GrMonitor *m, GrTestKind kind, double level,
					  const GrOccasion *at)
{
	return gr_design_of(m->kind)->multiplier(m, kind, level, at);
}

double
gr_monitor_p(GrMonitor *m, GrTestKind kind, double z, const GrOccasion *at)
{
	return gr_design_of(m->kind)->p(m, kind, kind == GR_TEST_GOAL ? fabs(z) : z, at);
}
