/*
 * choose.c
 *	  guardrail_choose: one arm of many, and what the guardrails cost.
 *
 * The verdict says which arms may be chosen: those that SHIP on the same data.  Among
 * them an arm that is proven safe comes before one that is not, which may SHIP where the
 * evidence of a rule asks for no such proof.
 *
 * Errors.  An arm is safe when every guardrail is SAFE; the evaluation proves each
 * at alpha over the number of arms, so that no arm is called safe that is not, but
 * with probability alpha: within an arm all must be proven (an
 * intersection-union test needs no correction), over arms it is Bonferroni's.
 * Primaries are compared for all pairs of arms, the control among them, at alpha
 * over the number of pairs, with the bounds of the design: the arm that is best by
 * estimate may be any.
 */
#include "choice/choice.h"
#include "base/put.h"

#include <math.h>

#include "executor/spi.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(guardrail_choose);

#define CONTROL (-1)			/* as an arm */

typedef struct Choice
{
	const Evaluation *v;
	Bounds		bounds;
	const GrRule *primary;
	int			primary_no;		/* of the rules */
	double		level;			/* of each pair of arms */
	bool		valid;			/* the test as a whole */
	char		why[GR_REASON_SIZE];	/* it is not */
	int			chosen;
} Choice;

static const GrResult *
result_of(const Choice *c, int a, int k)
{
	return &c->v->results[a * c->v->e->nrules + k];
}

static const GrEstimate *
primary_value(const Choice *c, int a)
{
	return a == CONTROL ? &result_of(c, 0, c->primary_no)->control : &result_of(c, a, c->primary_no)->treatment;
}

static int64
units_of(const Choice *c, int a)
{
	return a == CONTROL ? c->v->control.units : c->v->arms[a].units;
}

/* Effect of arm a less that of arm b, with bounds. */
typedef struct Difference
{
	double		estimate;
	double		lower;
	double		upper;
} Difference;

static Difference
compare(const Choice *c, int a, int b)
{
	const GrEstimate *x = primary_value(c, a);
	const GrEstimate *y = primary_value(c, b);
	const GrEstimate *control = primary_value(c, CONTROL);
	GrContrastKind contrast = gr_joint_contrast(c->primary);
	GrEstimate	gap = {x->value - y->value, x->variance + y->variance, NAN};
	Difference	d = {0, 0, 0};
	double		z,
				se,
				crit;

	if (a == b)
		return d;
	d = (Difference) {NAN, -INFINITY, INFINITY};
	if (gr_contrast_statistic(GR_DIFFERENCE, x, y, 0, &z, &gap.df, &se) != GR_OK)
		return d;
	crit = gr_bounds_multiplier(&c->bounds, c->level, (double) (units_of(c, a) + units_of(c, b)), gap.df);
	if (units_of(c, a) < c->v->test.min_units || units_of(c, b) < c->v->test.min_units)
		crit = INFINITY;
	if (contrast == GR_DIFFERENCE || b == CONTROL)
	{
		d.estimate = gr_effect(contrast, x, y);
		if (isfinite(crit))
			(void) gr_contrast_bounds(contrast, x, y, crit, &d.lower, &d.upper);
		return d;
	}
	/* a ratio to the control, which is independent of both: Fieller's set of gap/control */
	d.estimate = gr_effect(contrast, &gap, control) + 1;
	if (isfinite(crit) && gr_contrast_bounds(contrast, &gap, control, crit, &d.lower, &d.upper) == GR_OK)
	{
		d.lower += 1;
		d.upper += 1;
	}
	return d;
}

/* The same, positive for better. */
static Difference
gain(const Choice *c, int a, int b)
{
	Difference	d = compare(c, a, b);

	if (c->primary->worse_is_higher)
		return (Difference) {-d.estimate, -d.upper, -d.lower};
	return d;
}

static double
gain_over_control(const Choice *c, int a)
{
	return a == CONTROL ? 0 : gain(c, a, CONTROL).estimate;
}

/* ---- safety -------------------------------------------------------------- */

static bool
must_be_safe(const GrRule *rule)
{
	return rule->role == GR_GUARDRAIL && rule->severity != GR_WARN;
}

/* How many guardrails are not proven safe; *which: the last of them. */
static int
unproven(const Choice *c, int a, int *which)
{
	int			n = 0;

	*which = -1;
	for (int k = 0; k < c->v->e->nrules; k++)
		if (must_be_safe(&c->v->e->rules[k].rule) && result_of(c, a, k)->status != GR_IS_SAFE)
		{
			n++;
			*which = k;
		}
	return n;
}

static bool
has_won(const Choice *c, int a)
{
	return result_of(c, a, c->primary_no)->status == GR_WON;
}

static bool
ships(const Choice *c, int a)
{
	return c->v->verdicts[a].verdict == GR_VERDICT_SHIP;
}

static bool
is_proven(const Choice *c, int a)
{
	int			which;

	return unproven(c, a, &which) == 0;
}

/* Has the arm gained more than the best so far? */
static bool
is_better(const Choice *c, int a, int best)
{
	return best == CONTROL || gain_over_control(c, a) > gain_over_control(c, best);
}

/* The best of the arms that SHIP; one that is proven safe before any that is not. */
static int
best_arm(const Choice *c)
{
	int			proven = CONTROL,
				other = CONTROL;

	for (int a = 0; a < c->v->narms && c->valid; a++)
	{
		int		   *best = is_proven(c, a) ? &proven : &other;

		if (ships(c, a) && is_better(c, a, *best))
			*best = a;
	}
	return proven != CONTROL ? proven : other;
}

/* The best of the arms that won and that only this guardrail rules out. */
static int
best_without(const Choice *c, int guardrail)
{
	int			best = CONTROL;

	for (int a = 0; a < c->v->narms && c->valid; a++)
	{
		int			which;

		if (has_won(c, a) && unproven(c, a, &which) == 1 && which == guardrail && is_better(c, a, best))
			best = a;
	}
	return best;
}

/* ---- the frontier --------------------------------------------------------- */

/* Harm of an arm by a guardrail's estimate; the control does none. */
static double
harm_of(const Choice *c, int a, int k)
{
	const GrResult *r = result_of(c, a == CONTROL ? 0 : a, k);
	double		effect = r->effect;

	if (a == CONTROL)
		effect = r->rule->limit_kind == GR_LIMIT_ABSOLUTE ? r->control.value : 0;
	return r->rule->worse_is_higher ? effect : -effect;
}

/* Is no other arm at least as good in both and better in one, by the estimates? */
static bool
on_frontier(const Choice *c, int a, int k)
{
	double		own_gain = gain_over_control(c, a);
	double		own_harm = harm_of(c, a, k);

	for (int other = CONTROL; other < c->v->narms; other++)
	{
		double		other_gain = gain_over_control(c, other);
		double		other_harm = harm_of(c, other, k);

		if (other_gain >= own_gain && other_harm <= own_harm &&
			(other_gain > own_gain || other_harm < own_harm))
			return false;
	}
	return true;
}

/* ---- rows ------------------------------------------------------------------ */

static char *
format_gain(const Choice *c, double x)
{
	GrRule		rule = *c->primary;
	char		buf[100];

	if (rule.limit_kind == GR_LIMIT_ABSOLUTE)
		rule.limit_kind = GR_LIMIT_DIFFERENCE;
	gr_format_effect(&rule, rule.worse_is_higher ? -x : x, 3, buf, sizeof(buf));
	return pstrdup(buf);
}

/* "load (UNDECIDED), errors (UNMEASURED)" */
static void
list_unproven(const Choice *c, int a, StringInfo buf)
{
	const char *separator = "";

	for (int k = 0; k < c->v->e->nrules; k++)
		if (must_be_safe(&c->v->e->rules[k].rule) && result_of(c, a, k)->status != GR_IS_SAFE)
		{
			appendStringInfo(buf, "%s%.100s (%s)", separator, c->v->e->rules[k].rule.metric,
							 gr_status_word(result_of(c, a, k)->status));
			separator = ", ";
		}
}

/* An arm that SHIPs without a proof of safety: why it may, and what was chosen beside it. */
static void
explain_shipping(const Choice *c, int a, StringInfo buf)
{
	const char *chosen = c->v->arms[c->chosen].name;
	bool		undecided = true;

	for (int k = 0; k < c->v->e->nrules; k++)
		if (must_be_safe(&c->v->e->rules[k].rule))
			undecided &= result_of(c, a, k)->status == GR_IS_SAFE || result_of(c, a, k)->status == GR_UNDECIDED;
	appendStringInfoString(buf, "not proven safe: ");
	list_unproven(c, a, buf);
	appendStringInfo(buf, "; its verdict is SHIP %s",
					 undecided ? "because evidence 'breach' asks for no proof of safety" : "all the same");
	if (a != c->chosen)
		appendStringInfo(buf, is_proven(c, c->chosen) ? ", but variant \"%.*s\" has won and is proven safe" :
						 ", but variant \"%.*s\" gains more", gr_fitting(chosen, 60), chosen);
}

static char *
reason_of_control(const Choice *c)
{
	if (c->chosen == CONTROL)
		return "chosen: no variant has the verdict SHIP";
	return is_proven(c, c->chosen) ? "a variant that won is proven safe by every guardrail" :
		"a variant has the verdict SHIP, although it is not proven safe by every guardrail";
}

static char *
reason_of(const Choice *c, int a)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (!c->valid)
		return pstrdup(c->why);
	if (a == CONTROL)
		return reason_of_control(c);
	if (a == c->chosen)
		appendStringInfo(&buf, "chosen: the largest gain among the variants that %s, %.100s %s%s",
						 is_proven(c, a) ? "won and are proven safe" : "have the verdict SHIP",
						 c->primary->metric, format_gain(c, gain_over_control(c, a)), is_proven(c, a) ? "" : "; ");
	if (ships(c, a) && !is_proven(c, a))
		explain_shipping(c, a, &buf);
	else if (a == c->chosen)
		return buf.data;
	else if (!is_proven(c, a))
	{
		appendStringInfoString(&buf, "not proven safe: ");
		list_unproven(c, a, &buf);
	}
	else if (!has_won(c, a))
		appendStringInfoString(&buf, "proven safe, but the primary metric has not won");
	else if (!ships(c, a))
	{
		const char *why = c->v->verdicts[a].reason;

		appendStringInfo(&buf, "won and proven safe, but its verdict is %s: %.*s", gr_verdict_word(c->v->verdicts[a].verdict),
						 gr_fitting(why, 1000), why);
	}
	else
		appendStringInfoString(&buf, "won and proven safe, but another variant gains more");
	return buf.data;
}

static void
put_difference(Writer *w, const char *const names[3], const Difference *d)
{
	put_number(w, names[0], d->estimate);
	put_number(w, names[1], isnan(d->estimate) ? NAN : d->lower);
	put_number(w, names[2], isnan(d->estimate) ? NAN : d->upper);
}

/* The columns of a guardrail, k < 0: none. */
static void
put_guardrail(Writer *w, const Choice *c, int a, int k)
{
	const GrResult *r = k < 0 || a == CONTROL ? NULL : result_of(c, a, k);
	bool		no_data = r == NULL || r->status == GR_NO_DATA;
	bool		known = k >= 0 && !isnan(harm_of(c, a, k)) && !isnan(gain_over_control(c, a));

	put_text(w, "guardrail", k < 0 ? NULL : c->v->e->rules[k].rule.metric);
	put_number(w, "guardrail_effect", r ? r->effect : NAN);
	put_number(w, "guardrail_lower", no_data ? NAN : r->lower);
	put_number(w, "guardrail_upper", no_data ? NAN : r->upper);
	put_text(w, "guardrail_status", r ? gr_status_word(r->status) : NULL);
	put(w, "frontier", BOOLOID, BoolGetDatum(known && on_frontier(c, a, k)), !known);
}

/* One row; otherwise: the arm that would be chosen without guardrail k. */
static void
put_choice(Writer *w, const Choice *c, int a, int k, int otherwise)
{
	static const char *const primary_names[3] = {"primary_effect", "primary_lower", "primary_upper"};
	static const char *const difference_names[3] = {"difference", "difference_lower", "difference_upper"};
	static const char *const shadow_names[3] = {"shadow_price", "shadow_lower", "shadow_upper"};
	Difference	effect = compare(c, a, CONTROL);
	Difference	difference = compare(c, a, c->chosen);
	Difference	price = {NAN, NAN, NAN};
	char	   *reason = reason_of(c, a);

	if (a != CONTROL && a == otherwise && gain(c, a, c->chosen).estimate > 0)
	{
		price = gain(c, a, c->chosen);
		reason = psprintf("%s; otherwise this variant would be chosen and gain %s more", reason,
						  format_gain(c, price.estimate));
	}
	put_text(w, "experiment_id", c->v->e->id);
	put_text(w, "variant", a == CONTROL ? c->v->control.name : c->v->arms[a].name);
	put_bool(w, "chosen", c->valid && a == c->chosen);
	put_bool(w, "feasible", c->valid && (a == CONTROL || is_proven(c, a)));
	put_text(w, "primary_metric", c->primary->metric);
	put_text(w, "primary_status", a == CONTROL ? NULL : gr_status_word(result_of(c, a, c->primary_no)->status));
	put_difference(w, primary_names, &effect);
	put_difference(w, difference_names, &difference);
	put_guardrail(w, c, a, k);
	put_difference(w, shadow_names, &price);
	put_text(w, "reason", reason);
}

static Choice
make_choice(Evaluation *v, const char *schema)
{
	Choice		c = {.v = v, .primary_no = -1};

	for (int k = 0; k < v->e->nrules; k++)
		if (v->e->rules[k].rule.role == GR_PRIMARY)
			c.primary_no = k;
	if (c.primary_no < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" has no primary metric", v->e->id),
				 errhint("Set role to 'primary' in one of its rules.")));
	c.primary = &v->e->rules[c.primary_no].rule;
	c.bounds = gr_bounds_make(v, schema, 1);
	c.level = c.primary->alpha * 2 / Max(2, v->narms * (v->narms + 1));
	c.valid = !gr_test_invalid(&v->test, c.why, sizeof(c.why));
	c.chosen = best_arm(&c);
	return c;
}

/* guardrail_choose(experiment) */
Datum
guardrail_choose(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *schema;
	Evaluation *v;
	Choice		c;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	v = gr_evaluate_argument(fcinfo, context, &schema);
	c = make_choice(v, schema);
	InitMaterializedSRF(fcinfo, 0);
	/* k = -1: for an experiment without guardrails */
	for (int k = -1; k < v->e->nrules && v->narms > 0; k++)
	{
		int			otherwise = k < 0 ? CONTROL : best_without(&c, k);

		if (k < 0 ? c.v->verdicts[0].guardrails > 0 : v->e->rules[k].rule.role != GR_GUARDRAIL)
			continue;
		for (int a = CONTROL; a < v->narms; a++)
		{
			Writer		w = {0};

			CHECK_FOR_INTERRUPTS();
			put_choice(&w, &c, a, k, otherwise);
			gr_put_row(fcinfo, &w);
		}
	}
	SPI_finish();
	return (Datum) 0;
}
