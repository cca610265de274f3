/*
 * statistics.c
 *	  The statistics of src/stats on plain numbers, as SQL functions.
 *
 * Numbers that are not defined for the data (no variation in either arm) come
 * back as NULL, never as a decision.
 */
#include "types/summary.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(guardrail_welch);
PG_FUNCTION_INFO_V1(guardrail_relative);
PG_FUNCTION_INFO_V1(guardrail_p_adjust);
PG_FUNCTION_INFO_V1(guardrail_srm);
PG_FUNCTION_INFO_V1(guardrail_compare);

#define MAX_TESTS 1000000

typedef struct TwoArms
{
	double		mean_t,
				var_t,
				n_t,
				mean_c,
				var_c,
				n_c,
				margin,
				level;
	GrAlternative alternative;
} TwoArms;

/* The nine arguments that guardrail_welch and guardrail_relative share. */
static void
read_two_arms(FunctionCallInfo fcinfo, TwoArms *a)
{
	a->mean_t = gr_arg_number(fcinfo, 0, "mean_t");
	a->var_t = gr_arg_number_in(fcinfo, 1, "var_t", 0, INFINITY, false);
	a->n_t = gr_arg_number_in(fcinfo, 2, "n_t", 2, INFINITY, false);
	a->mean_c = gr_arg_number(fcinfo, 3, "mean_c");
	a->var_c = gr_arg_number_in(fcinfo, 4, "var_c", 0, INFINITY, false);
	a->n_c = gr_arg_number_in(fcinfo, 5, "n_c", 2, INFINITY, false);
	a->margin = gr_arg_number(fcinfo, 6, "margin");
	a->alternative = gr_arg_alternative(fcinfo, 7);
	a->level = gr_arg_number_in(fcinfo, 8, "level", 0, 1, true);
}

/* estimate, se, df, statistic, p_value, lower, upper */
static Datum
test_record(FunctionCallInfo fcinfo, const GrTest *t)
{
	double		values[] = {t->estimate, t->se, t->df, t->statistic,
	t->p_value, t->lower, t->upper};

	return gr_float8_record(fcinfo, values, lengthof(values));
}

Datum
guardrail_welch(PG_FUNCTION_ARGS)
{
	TwoArms		a;
	GrTest		test;

	read_two_arms(fcinfo, &a);
	(void) gr_welch(a.mean_t, a.var_t, a.n_t, a.mean_c, a.var_c, a.n_c,
					a.margin, a.alternative, a.level, &test);
	return test_record(fcinfo, &test);
}

Datum
guardrail_relative(PG_FUNCTION_ARGS)
{
	static const char *const methods[] = {"fieller", "delta", NULL};
	TwoArms		a;
	GrTest		test;
	GrRelativeMethod method;

	read_two_arms(fcinfo, &a);
	method = (GrRelativeMethod) gr_arg_choice(fcinfo, 9, "method", methods);
	if (a.mean_c <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"mean_c\" must be greater than 0"),
				 errdetail("It is %g.", a.mean_c),
				 errhint("Compare the difference with guardrail_welch(): "
						 "a relative lift has no meaning unless the control is positive.")));
	(void) gr_relative(a.mean_t, a.var_t, a.n_t, a.mean_c, a.var_c, a.n_c,
					   a.margin, a.alternative, a.level, method, &test);
	return test_record(fcinfo, &test);
}

/* guardrail_p_adjust(p float8[], method) */
Datum
guardrail_p_adjust(PG_FUNCTION_ARGS)
{
	static const char *const methods[] = {"none", "bonferroni", "holm",
	"hochberg", "bh", NULL};
	int			n;
	double	   *p = gr_arg_float8_array(fcinfo, 0, "p", &n);
	GrAdjust	method = (GrAdjust) gr_arg_choice(fcinfo, 1, "method", methods);
	double	   *adjusted = palloc(sizeof(double) * Max(n, 1));
	Datum	   *out = palloc(sizeof(Datum) * Max(n, 1));

	if (n > MAX_TESTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("argument \"p\" has more than %d elements", MAX_TESTS)));
	if (gr_p_adjust(p, n, method, adjusted, palloc(sizeof(int) * Max(n, 1))) != GR_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"p\" must contain numbers between 0 and 1")));
	for (int i = 0; i < n; i++)
		out[i] = Float8GetDatum(adjusted[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(out, n, FLOAT8OID, 8,
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* guardrail_srm(counts, shares) */
Datum
guardrail_srm(PG_FUNCTION_ARGS)
{
	int			n;
	double	   *shares;
	int64	   *counts = gr_arg_split(fcinfo, 0, 1, &n, &shares);
	double		values[3] = {NAN, NAN, NAN};

	(void) gr_srm(counts, shares, n, &values[0], &values[1], &values[2]);
	return gr_float8_record(fcinfo, values, lengthof(values));
}

/* The estimate a summary stands for: a mean, or with two variables a ratio. */
static void
summary_estimate(const GrMoments *m, const char *name, GrEstimate *out)
{
	GrCode		code;

	code = m->dim == 1 ? gr_mean_estimate(m, 0, out) : gr_ratio_estimate(m, out);
	if (m->n < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must have at least two units", name),
				 errdetail("It has " INT64_FORMAT ".", m->n)));
	if (code != GR_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" has no estimate", name),
				 errdetail("Its denominator sums to zero.")));
}

/* guardrail_compare(treatment, control, kind, margin, alternative, level) */
Datum
guardrail_compare(PG_FUNCTION_ARGS)
{
	static const char *const kinds[] = {"absolute", "difference", "relative", NULL};
	static const char *const names[] = {"treatment", "control"};
	GrMoments	m[2];
	GrEstimate	e[2];
	GrContrastKind scale;
	double		margin,
				level;
	GrAlternative alternative;
	GrTest		test;

	for (int i = 0; i < 2; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not be NULL", names[i])));
		gr_summary_read(PG_GETARG_SUMMARY_P(i), &m[i], NULL);
		summary_estimate(&m[i], names[i], &e[i]);
	}
	if (m[0].dim != m[1].dim)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot compare summaries of %d and %d variables",
						m[0].dim, m[1].dim)));
	/* the order of GrContrastKind */
	scale = (GrContrastKind) gr_arg_choice(fcinfo, 2, "kind", kinds);
	margin = gr_arg_number(fcinfo, 3, "margin");
	alternative = gr_arg_alternative(fcinfo, 4);
	level = gr_arg_number_in(fcinfo, 5, "level", 0, 1, true);
	if (scale == GR_RELATIVE && e[1].value <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"control\" must have a positive estimate for a relative comparison"),
				 errdetail("It is %g.", e[1].value)));
	(void) gr_contrast_test(scale, &e[0], &e[1], margin, alternative, level, &test);
	return test_record(fcinfo, &test);
}
