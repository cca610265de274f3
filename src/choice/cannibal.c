/*
 * cannibal.c
 *	  Cannibalisation: one metric won at the cost of another.
 *
 * What won and lost is said by the statuses and bounds of the evaluation.  The
 * flag of a recorded verdict needs these alone; what is paid for what needs the
 * joint covariance, one more scan.
 */
#include "choice/choice.h"
#include "base/put.h"

#include <math.h>

#include "executor/spi.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(guardrail_cannibalization);

/* A guardrail: harm or good against control beyond zero, proven by its bounds. */
static int
guardrail_outcome(const GrResult *r)
{
	const GrRule *rule = r->rule;
	double		harm = r->treatment.value - r->control.value;

	if (!rule->worse_is_higher)
		harm = -harm;
	if (rule->evidence == GR_POINT)
		return 0;				/* an estimate alone proves nothing */
	if (rule->limit_kind == GR_LIMIT_ABSOLUTE)
		return r->status == GR_BREACHED && harm > 0 ? -1 : 0;
	if (r->lower > r->upper)
		return 0;
	if (rule->worse_is_higher ? r->lower > 0 : r->upper < 0)
		return -1;
	return (rule->worse_is_higher ? r->upper < 0 : r->lower > 0) ? 1 : 0;
}

int
gr_outcome(const Evaluation *v, const GrResult *r)
{
	if (r->status == GR_NO_DATA || !v->test.over)
		return 0;
	if (r->rule->role == GR_GUARDRAIL)
		return guardrail_outcome(r);
	if (r->status == GR_LOST)
		return -1;
	return r->status == GR_WON && r->rule->limit_kind != GR_LIMIT_ABSOLUTE ? 1 : 0;
}

/* "clicks up" */
static char *
direction(const GrResult *r)
{
	char		title[200];

	gr_rule_title(r->rule, title, sizeof(title));
	return psprintf("%s %s", title, r->treatment.value > r->control.value ? "up" : "down");
}

static bool
is_invalid(const Evaluation *v)
{
	char		why[GR_REASON_SIZE];

	return gr_test_invalid(&v->test, why, sizeof(why));
}

char *
gr_cannibalization_flag(const Evaluation *v, int a)
{
	StringInfoData list[2];		/* won, lost */

	if (is_invalid(v))
		return NULL;
	initStringInfo(&list[0]);
	initStringInfo(&list[1]);
	for (int k = 0; k < v->e->nrules; k++)
	{
		const GrResult *r = &v->results[a * v->e->nrules + k];
		int			outcome = gr_outcome(v, r);

		if (outcome != 0)
			appendStringInfo(&list[outcome < 0], "%s%s", list[outcome < 0].len ? ", " : "", direction(r));
	}
	return list[0].len && list[1].len ? psprintf("won: %s; lost: %s", list[0].data, list[1].data) : NULL;
}

/* ---- guardrail_cannibalization --------------------------------------------- */

/* One pair of an arm: the rules i < j of the joint effect, and which of them won. */
typedef struct Pair
{
	int			arm;
	int			i;
	int			j;
	int			won;			/* 0: i, 1: j */
} Pair;

/* All pairs of something won and something lost; *n of them. */
static Pair *
find_pairs(const Evaluation *v, bool *wanted, int *n)
{
	int			nrules = v->e->nrules;
	int			room = 16;
	Pair	   *pairs = palloc(sizeof(Pair) * room);

	*n = 0;
	for (int a = 0; a < v->narms && !is_invalid(v); a++)
		for (int i = 0; i < nrules; i++)
			for (int j = i + 1; j < nrules; j++)
			{
				int			first = gr_outcome(v, &v->results[a * nrules + i]);
				int			second = gr_outcome(v, &v->results[a * nrules + j]);

				CHECK_FOR_INTERRUPTS();
				if (first * second != -1)
					continue;
				if (*n == room)
				{
					room *= 2;
					pairs = repalloc(pairs, sizeof(Pair) * room);
				}
				wanted[i * nrules + j] = true;
				pairs[(*n)++] = (Pair) {a, i, j, first > 0 ? 0 : 1};
			}
	return pairs;
}

/* What is said of a pair beyond its effects. */
typedef struct Exchange
{
	const char *region;			/* NULL: none */
	double		radius;
	double		rate;
	double		lower;
	double		upper;
	const char *why_not;
} Exchange;

/* Degrees of freedom of the two effects' variances: the fewer. */
static double
fewer_df(const GrResult *const r[2])
{
	double		df = INFINITY;

	for (int s = 0; s < 2; s++)
	{
		double		z,
					se,
					own;

		if (gr_contrast_statistic(gr_joint_contrast(r[s]->rule), &r[s]->treatment, &r[s]->control,
								  0, &z, &own, &se) == GR_OK)
			df = Min(df, own);
	}
	return df;
}

/*
 * The joint region: an ellipse once or at any time; at looks, whose bounds are of
 * one metric each, a box at alpha/2.  The rate by Fieller's set, with the
 * multiplier of the design.
 */
static Exchange
exchange(const Bounds *b, const JointEffect *e, const GrResult *const r[2], int won, double alpha)
{
	const GrMonitor *m = &b->v->monitor;
	const GrDesign *design = gr_design_of(m->kind);
	double		n = (double) (r[0]->arm->units + b->v->control.units);
	double		df = fewer_df(r);
	Exchange	out = {NULL, NAN, NAN, NAN, NAN, e->why_not};
	double		crit;

	out.rate = e->effect[1 - won] / e->effect[won];
	if (isnan(e->covariance))
		return out;
	crit = gr_bounds_multiplier(b, alpha, n, df);
	if (!isfinite(crit))
	{
		out.why_not = "between two looks there is no region";
		return out;
	}
	out.region = design->radius ? "ellipse" : "box";
	out.radius = design->radius ? design->radius(m, alpha, n) : gr_bounds_multiplier(b, alpha / 2, n, df);
	if (gr_fieller_ratio(e->effect[1 - won], e->effect[won], e->variance[1 - won], e->variance[won],
						 e->covariance, crit, &out.lower, &out.upper) != GR_OK)
		out.why_not = "the gain does not differ significantly from zero at this level, so the rate has no bounds";
	return out;
}

/* The rule with its effect as it is called here. */
static GrRule
effect_rule(const GrRule *rule)
{
	GrRule		out = *rule;

	if (rule->limit_kind == GR_LIMIT_ABSOLUTE)
		out.limit_kind = GR_LIMIT_DIFFERENCE;
	return out;
}

/* "clicks up, returned down: for each +1 % of clicks -0.3 pp of returned" */
static char *
describe(const GrResult *won, const GrResult *lost, const Exchange *x)
{
	GrRule		won_rule = effect_rule(won->rule);
	GrRule		lost_rule = effect_rule(lost->rule);
	bool		hundredth = won_rule.limit_kind == GR_LIMIT_RELATIVE || won_rule.is_proportion;
	double		step = hundredth ? 0.01 : 1;
	char		unit[100],
				paid[100],
				low[100],
				high[100];
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s, %s", direction(won), direction(lost));
	if (won->treatment.value < won->control.value)
		step = -step;
	gr_format_effect(&won_rule, step, 3, unit, sizeof(unit));
	gr_format_effect(&lost_rule, x->rate * step, 3, paid, sizeof(paid));
	appendStringInfo(&buf, ": for each %s of %.100s %s of %.100s", unit, won_rule.metric, paid, lost_rule.metric);
	if (isfinite(x->lower) && isfinite(x->upper))
	{
		gr_format_effect(&lost_rule, (step > 0 ? x->lower : x->upper) * step, 3, low, sizeof(low));
		gr_format_effect(&lost_rule, (step > 0 ? x->upper : x->lower) * step, 3, high, sizeof(high));
		appendStringInfo(&buf, " (%s to %s)", low, high);
	}
	if (x->why_not)
		appendStringInfo(&buf, "; %s", x->why_not);
	return buf.data;
}

static void
put_pair(Writer *w, const Bounds *b, const Joint *joint, const Pair *p, double alpha)
{
	static const char *const names[2][5] = {
		{"won", "won_effect", "won_se", "won_lower", "won_upper"},
		{"lost", "lost_effect", "lost_se", "lost_lower", "lost_upper"}
	};
	const Evaluation *v = b->v;
	const GrResult *row = &v->results[p->arm * v->e->nrules];
	const GrResult *const r[2] = {&row[p->i], &row[p->j]};
	JointEffect e = gr_joint_effect(v, joint, p->arm, p->i, p->j);
	Exchange	x = exchange(b, &e, r, p->won, alpha);

	put_text(w, "experiment_id", v->e->id);
	put_text(w, "variant", v->arms[p->arm].name);
	for (int k = 0; k < 2; k++)
	{
		int			s = k == 0 ? p->won : 1 - p->won;
		double		se = sqrt(e.variance[s]);

		put_text(w, names[k][0], r[s]->rule->metric);
		put_number(w, names[k][1], e.effect[s]);
		put_number(w, names[k][2], finite_or_nan(se));
		put_number(w, names[k][3], e.effect[s] - x.radius * se);
		put_number(w, names[k][4], e.effect[s] + x.radius * se);
	}
	put_number(w, "correlation", finite_or_nan(e.covariance / sqrt(e.variance[0]) / sqrt(e.variance[1])));
	put_text(w, "region", x.region);
	put_number(w, "radius", x.radius);
	put_number(w, "alpha", alpha);
	put_number(w, "exchange_rate", finite_or_nan(x.rate));
	put_number(w, "exchange_lower", x.lower);
	put_number(w, "exchange_upper", x.upper);
	put_text(w, "reason", describe(r[p->won], r[1 - p->won], &x));
}

/* guardrail_cannibalization(experiment) */
Datum
guardrail_cannibalization(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *schema;
	Evaluation *v;
	Bounds		b;
	Joint	   *joint = NULL;
	Pair	   *pairs;
	bool	   *wanted;
	int			n;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	v = gr_evaluate_argument(fcinfo, context, &schema);
	wanted = palloc0(sizeof(bool) * v->e->nrules * v->e->nrules);
	pairs = find_pairs(v, wanted, &n);
	b = gr_bounds_make(v, schema, 2);
	if (n > 0)
		joint = gr_joint_collect(v, schema, wanted, context);
	InitMaterializedSRF(fcinfo, 0);
	for (int k = 0; k < n; k++)
	{
		Writer		w = {0};

		CHECK_FOR_INTERRUPTS();
		put_pair(&w, &b, joint, &pairs[k], gr_primary_alpha(v));
		gr_put_row(fcinfo, &w);
	}
	SPI_finish();
	return (Datum) 0;
}
