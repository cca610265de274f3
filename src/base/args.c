/*
 * args.c
 *	  Arguments and results of SQL-callable functions.
 *
 * Anyone may call these functions with anything, so none is declared STRICT:
 * a NULL or a number out of range is an error that names the argument.
 */
#include "base/guardrail.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

static void
check_not_null(FunctionCallInfo fcinfo, int i, const char *name)
{
	if (PG_ARGISNULL(i))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be NULL", name)));
}

double
gr_arg_number(FunctionCallInfo fcinfo, int i, const char *name)
{
	double		x;

	check_not_null(fcinfo, i, name);
	x = PG_GETARG_FLOAT8(i);
	if (!isfinite(x))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a finite number", name),
				 errdetail("It is %g.", x)));
	return x;
}

double
gr_arg_number_in(FunctionCallInfo fcinfo, int i, const char *name,
				 double lower, double upper, bool open)
{
	double		x = gr_arg_number(fcinfo, i, name);

	if (open ? (x <= lower || x >= upper) : (x < lower || x > upper))
	{
		if (isinf(upper))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"%s\" must be %s %g", name,
							open ? "greater than" : "at least", lower),
					 errdetail("It is %g.", x)));
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be between %g and %g%s", name,
						lower, upper, open ? " (exclusive)" : ""),
				 errdetail("It is %g.", x)));
	}
	return x;
}

int64
gr_arg_int(FunctionCallInfo fcinfo, int i, const char *name,
		   int64 lower, int64 upper)
{
	int64		x;

	check_not_null(fcinfo, i, name);
	x = PG_GETARG_INT64(i);
	if (x < lower || x > upper)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be between " INT64_FORMAT " and " INT64_FORMAT,
						name, lower, upper),
				 errdetail("It is " INT64_FORMAT ".", x)));
	return x;
}

/* Is the function declared with an integer for the argument? */
static bool
takes_integer(FunctionCallInfo fcinfo, int i)
{
	Oid		   *types;
	int			n;

	(void) get_func_signature(fcinfo->flinfo->fn_oid, &types, &n);
	return i < n && types[i] == INT8OID;
}

char *
gr_arg_text(FunctionCallInfo fcinfo, int i, const char *name)
{
	check_not_null(fcinfo, i, name);
	/* each function that takes an experiment has a twin for ids that are numbers */
	if (i == 0 && strcmp(name, "experiment") == 0 && takes_integer(fcinfo, i))
		return psprintf(INT64_FORMAT, PG_GETARG_INT64(i));
	return text_to_cstring(PG_GETARG_TEXT_PP(i));
}

char *
gr_quoted_list(const char *const *words)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int k = 0; words[k] != NULL; k++)
	{
		if (k > 0)
			appendStringInfoString(&buf, words[k + 1] ? ", " : " or ");
		appendStringInfo(&buf, "\"%s\"", words[k]);
	}
	return buf.data;
}

int
gr_arg_choice(FunctionCallInfo fcinfo, int i, const char *name,
			  const char *const *words)
{
	char	   *word = gr_arg_text(fcinfo, i, name);

	for (int k = 0; words[k] != NULL; k++)
		if (strcmp(word, words[k]) == 0)
			return k;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized value \"%s\" for argument \"%s\"", word, name),
			 errhint("Use %s.", gr_quoted_list(words))));
}

GrAlternative
gr_arg_alternative(FunctionCallInfo fcinfo, int i)
{
	static const char *const words[] = {"two-sided", "greater", "less", NULL};

	/* the order of GrAlternative */
	return (GrAlternative) gr_arg_choice(fcinfo, i, "alternative", words);
}

/* The elements of a one-dimensional array without NULLs. */
static Datum *
array_elements(FunctionCallInfo fcinfo, int i, const char *name, Oid type,
			   int *n)
{
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;

	check_not_null(fcinfo, i, name);
	array = PG_GETARG_ARRAYTYPE_P(i);
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("argument \"%s\" must be a one-dimensional array", name)));
	deconstruct_array(array, type, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, n);
	for (int k = 0; k < *n; k++)
		if (nulls[k])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain NULL", name),
					 errdetail("Element %d is NULL.", k + 1)));
	return elements;
}

double *
gr_arg_float8_array(FunctionCallInfo fcinfo, int i, const char *name, int *n)
{
	Datum	   *elements = array_elements(fcinfo, i, name, FLOAT8OID, n);
	double	   *x = palloc(sizeof(double) * Max(*n, 1));

	for (int k = 0; k < *n; k++)
	{
		x[k] = DatumGetFloat8(elements[k]);
		if (!isfinite(x[k]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"%s\" must contain finite numbers only", name),
					 errdetail("Element %d is %g.", k + 1, x[k])));
	}
	return x;
}

int64 *
gr_arg_int8_array(FunctionCallInfo fcinfo, int i, const char *name, int *n)
{
	Datum	   *elements = array_elements(fcinfo, i, name, INT8OID, n);
	int64	   *x = palloc(sizeof(int64) * Max(*n, 1));

	for (int k = 0; k < *n; k++)
		x[k] = DatumGetInt64(elements[k]);
	return x;
}

int64 *
gr_arg_split(FunctionCallInfo fcinfo, int i_counts, int i_shares, int *n,
			 double **shares)
{
	int64	   *counts = gr_arg_int8_array(fcinfo, i_counts, "counts", n);
	int			nshares;

	if (*n < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"counts\" must have at least two elements")));
	for (int i = 0; i < *n; i++)
		if (counts[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"counts\" must not contain negative numbers"),
					 errdetail("Element %d is " INT64_FORMAT ".", i + 1, counts[i])));
	*shares = NULL;
	if (PG_ARGISNULL(i_shares))
		return counts;
	*shares = gr_arg_float8_array(fcinfo, i_shares, "shares", &nshares);
	if (nshares != *n)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"shares\" must have as many elements as \"counts\""),
				 errdetail("They have %d and %d.", nshares, *n)));
	for (int i = 0; i < *n; i++)
		if ((*shares)[i] <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"shares\" must contain positive numbers only"),
					 errdetail("Element %d is %g.", i + 1, (*shares)[i])));
	return counts;
}

Datum
gr_float8_record(FunctionCallInfo fcinfo, const double *values, int n)
{
	TupleDesc	desc;
	Datum	   *datums = palloc(sizeof(Datum) * n);
	bool	   *nulls = palloc(sizeof(bool) * n);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != n)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("function must be called where it can return a record of %d numbers", n)));
	for (int k = 0; k < n; k++)
	{
		nulls[k] = isnan(values[k]);
		datums[k] = Float8GetDatum(values[k]);
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), datums, nulls));
}

bool
gr_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

MemoryContext
gr_aggregate_context(FunctionCallInfo fcinfo, const char *name)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s can only be called as an aggregate", name)));
	return context;
}
