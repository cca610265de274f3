/*
 * rules.c
 *	  guardrail's decisions, taken by the code of src/decide as the extension
 *	  calls it, and beside them the published rules of other tools.
 *
 * Under group_sequential the bounds of a plan depend on its looks alone, so they
 * are computed once.  A check is recorded after every batch: running minima,
 * witnesses and latches are kept as the check log keeps them.
 */
#include "sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const rule_names[RULES] = {
	[FIXED] = "fixed, at the end",
	[ALWAYS_VALID] = "always_valid",
	[ALWAYS_VALID_PLAN] = "always_valid, planned_units",
	[GS_POWER] = "group_sequential, power",
	[GS_POCOCK] = "group_sequential, pocock",
	[GS_OBRIEN_FLEMING] = "group_sequential, obrien_fleming",
	[POINT] = "evidence point",
	[GROWTHBOOK] = "GrowthBook's",
	[EPPO] = "Eppo's",
	[STATSIG] = "Statsig's",
};

/* Levels that a plan with one guardrail and one arm announces. */
#define LEVELS GR_P_LEVELS
static const double levels[LEVELS] = {0.4, 0.1, 1e-2, 1e-4};

/* The bounds of a plan whose first look comes with batch "first". */
typedef struct Bounds
{
	bool		ready;
	double		fraction[LOOKS];
	double		bound[2][LEVELS][LOOKS + 1];	/* breach, safe */
} Bounds;

static Bounds known[3][LOOKS + 1];
static const GrSpending spendings[3] = {GR_SPENDING_POWER, GR_SPENDING_POCOCK, GR_SPENDING_OBRIEN_FLEMING};

static Bounds *
plan_bounds(int spending, int first)
{
	static GrLookState scratch[2];
	Bounds	   *b = &known[spending][first];
	int			n = LOOKS - first + 1;

	if (b->ready)
		return b;
	for (int i = 0; i < n; i++)
		b->fraction[i] = (double) (first + i) / LOOKS;
	for (int kind = 0; kind < 2; kind++)
		for (int l = 0; l < LEVELS; l++)
			if (gr_spending_bounds(b->fraction, n, levels[l], 1,
								   kind == GR_TEST_BREACH ? spendings[spending] : GR_SPENDING_OBRIEN_FLEMING,
								   1, b->bound[kind][l], scratch) != GR_OK)
				abort();
	b->ready = true;
	return b;
}

/* One design's log of one experiment. */
typedef struct Log
{
	int			nlooks;
	GrPast		past[GR_TEST_KINDS];
	GrSample	seen[GR_TEST_KINDS][2];
	bool		breached;
} Log;

static void
setup_monitor(GrMonitor *m, GrBoundRow *rows, RuleId rule, double planned, const Log *log,
			  int first, int look)
{
	Bounds	   *b;

	memset(m, 0, sizeof(*m));
	m->n_star = rule == ALWAYS_VALID_PLAN ? planned / 4 : 5000;
	m->kind = rule == FIXED || rule == POINT ? GR_FIXED : GR_ALWAYS_VALID;
	if (rule < GS_POWER || rule > GS_OBRIEN_FLEMING)
		return;
	m->kind = GR_GROUP_SEQUENTIAL;
	m->spending = spendings[rule - GS_POWER];
	m->phi = 1;
	b = plan_bounds(rule - GS_POWER, first);
	m->fraction = b->fraction;
	m->nlooks = log->nlooks;
	m->is_look = look >= first;
	m->now = (double) look / LOOKS;
	m->rows = rows;
	m->rows_room = m->nrows = 2 * LEVELS;
	for (int i = 0; i < m->nrows; i++)
		rows[i] = (GrBoundRow) {.kind = (GrTestKind) (i / LEVELS),.level = levels[i % LEVELS],
		.known = LOOKS,.bound = b->bound[i / LEVELS][i % LEVELS]};
}

/* Keep what the check log would keep. */
static void
record(Log *log, const GrMonitor *m, const GrResult *r)
{
	const double p[GR_TEST_KINDS] = {r->p_breach, r->p_safe, r->p_value};

	log->breached = (r->status == GR_BREACHED);
	for (int k = 0; k < GR_TEST_KINDS; k++)
	{
		GrPast	   *past = &log->past[k];

		if (r->is_witness[k])
		{
			log->seen[k][0] = *r->treatment_sample;
			log->seen[k][1] = *r->control_sample;
			*past = (GrPast) {true, p[k], &log->seen[k][0], &log->seen[k][1], r->at};
		}
	}
	log->nlooks += (m->kind == GR_GROUP_SEQUENTIAL && m->is_look);
}

/* One check under one of guardrail's designs. */
static void
check(Data *data, RuleId rule, double planned, const GrRule *guardrail, Log *log,
	  int first, int look, Outcome *out)
{
	static double p[1],
				alpha[1],
				adjusted[1],
				divisor[1],
				of_result[1];
	static int	order[1],
				member[1];
	static bool testable[1];
	static GrResult r;
	GrScratch	scratch = {p, alpha, adjusted, divisor, order, member, of_result, testable};
	GrBoundRow	rows[2 * LEVELS];
	GrMonitor	m = {0};
	GrArm		treatment = {.name = "treatment",.units = data_units(data, true)};
	GrArm		control = {.name = "control",.units = data_units(data, false)};
	GrTestState test = {.correction = GR_ADJUST_HOLM,.srm_p = NAN,.min_units = MIN_UNITS,
		.planned_units = (int64_t) planned,.beta = 0.2,.monitor = &m,
	.over = rule != FIXED || look == LOOKS};
	GrArmVerdict verdict;
	GrOccasion	at;
	GrSample	seen[2];
	double		multiplier;

	setup_monitor(&m, rows, rule, planned, log, first, look);
	memset(&r, 0, offsetof(GrResult, reason));
	r.rule = guardrail;
	r.arm = &treatment;
	/* the multiplier in force, as src/check has it */
	at = (GrOccasion) {m.nlooks, (double) (treatment.units + control.units), BATCHES - 1, ALPHA};
	multiplier = gr_monitor_multiplier(&m, GR_TEST_BREACH, ALPHA, &at);
	if (!isfinite(multiplier))
		multiplier = gr_t_isf(ALPHA, at.df);
	data_samples(data, multiplier, &seen[1], &seen[0]);
	r.treatment_sample = &seen[1];
	r.control_sample = &seen[0];
	r.treatment = seen[1].estimate;
	r.control = seen[0].estimate;
	r.variance_removed = r.cap = r.null_share_p = NAN;
	memcpy(r.past, log->past, sizeof(r.past));
	r.latched = log->breached && rule != POINT;
	gr_decide_results(&r, 1, 1, &control, &test, &scratch);
	gr_decide_verdict(&r, 1, &treatment, &control, &test, &verdict);
	if (verdict.verdict == GR_VERDICT_BLOCK && out->blocked == 0)
		out->blocked = look;
	out->safe = out->safe || r.status == GR_IS_SAFE || r.p_safe <= ALPHA;
	if (rule != FIXED)
		record(log, &m, &r);
}

/* ---- published rules ------------------------------------------------------ */

/* The multiplier of its bound, n units of both arms. */
static double
published_multiplier(RuleId rule, double n)
{
	double		rho,
				tau;

	switch (rule)
	{
		case GROWTHBOOK:
			/* one-sided asymptotic sequence in closed form (Waudby-Smith et al., eq. 134) */
			rho = gr_mixture_rho(5000, ALPHA, 1);
			return sqrt(2 * (1 + rho / n) * log(1 + sqrt(1 + n / rho) / (2 * ALPHA)));
		case EPPO:
			rho = gr_mixture_rho(10000, 2 * ALPHA, 2);
			return gr_mixture_multiplier(n, rho, 2 * ALPHA, 2);
		case STATSIG:
			/* mixture whose variance is z^2 times that of the estimate: constant */
			tau = pow(gr_normal_isf(ALPHA), 2);
			return sqrt((1 + tau) / tau * (2 * log(1 / ALPHA) + log1p(tau)));
		default:
			return INFINITY;
	}
}

double
rule_bound(RuleId rule, int look, double planned)
{
	double		n = planned * look / LOOKS;

	switch (rule)
	{
		case FIXED:
			return look == LOOKS ? gr_normal_isf(ALPHA) : INFINITY;
		case ALWAYS_VALID:
			return gr_mixture_multiplier(n, gr_mixture_rho(5000, ALPHA, 1), ALPHA, 1);
		case ALWAYS_VALID_PLAN:
			return gr_mixture_multiplier(n, gr_mixture_rho(planned / 4, ALPHA, 1), ALPHA, 1);
		case GS_POWER:
		case GS_POCOCK:
		case GS_OBRIEN_FLEMING:
			return plan_bounds(rule - GS_POWER, 1)->bound[GR_TEST_BREACH][1][look - 1];
		case POINT:
			return 0;
		default:
			return published_multiplier(rule, n);
	}
}

static void
check_published(Data *data, const GrRule *guardrail, int look, Outcome out[RULES])
{
	double		n = (double) (data_units(data, true) + data_units(data, false));
	GrSample	t,
				c;
	double		z,
				df,
				se;

	data_samples(data, gr_normal_isf(ALPHA), &t, &c);
	if (gr_contrast_statistic(GR_RELATIVE, &t.estimate, &c.estimate, gr_signed_limit(guardrail), &z, &df, &se) != GR_OK)
		return;
	if (!guardrail->worse_is_higher)
		z = -z;
	for (int rule = OWN_RULES; rule < RULES; rule++)
	{
		double		bound = published_multiplier((RuleId) rule, n);

		if (z > bound && out[rule].blocked == 0)
			out[rule].blocked = look;
		out[rule].safe = out[rule].safe || z < -bound;
		out[rule].reach = fmax(out[rule].reach, z / bound);
	}
}

void
run_rules(Data *data, Kind kind, double margin, gsl_rng *rng, double lift, int mask, Outcome outcome[RULES])
{
	GrRule		guardrail = {.metric = "m",.kind = gr_kinds,.role = GR_GUARDRAIL,.severity = GR_BLOCK,.evidence = GR_BREACH,
		.limit_kind = GR_LIMIT_RELATIVE,.limit_value = margin,.alpha = ALPHA,
	.worse_is_higher = metrics[kind].worse_is_higher};
	GrRule		point = guardrail;
	static Log	log[OWN_RULES];
	int			first = 0;

	point.evidence = GR_POINT;
	memset(log, 0, sizeof(log));
	memset(outcome, 0, sizeof(Outcome) * RULES);
	data_start(data, rng, lift);
	for (int look = 1; look <= LOOKS; look++)
	{
		data_batch(data);
		if (data_units(data, true) < MIN_UNITS || data_units(data, false) < MIN_UNITS)
			continue;
		first = first ? first : look;
		for (int rule = 0; rule < OWN_RULES; rule++)
		{
			Outcome    *o = &outcome[rule];

			/* nothing more can come of it */
			if ((mask & (1 << rule)) == 0 || (rule == FIXED && look < LOOKS) || (o->blocked && (o->safe || rule == POINT)))
				continue;
			check(data, (RuleId) rule, metrics[kind].units, rule == POINT ? &point : &guardrail,
				  &log[rule], first, look, o);
		}
		check_published(data, &guardrail, look, outcome);
	}
}
