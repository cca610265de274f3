/*
 * collect.c
 *	  The aggregate guardrail_collect: one pass over the events.
 *
 *	 guardrail_collect(spec text, arms text[], memory_kb int,
 *					   variant "any", unit "any", VARIADIC "any")
 *
 * arms: the planned arms; NULL: those that are seen.  The variadic arguments are
 * the spec's columns in order, each filtered one followed by its filter.  The
 * result is the encoded collection (collection.c).
 */
#include "units/hash.h"
#include "units/rows.h"
#include "units/spill.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/execParallel.h"
#include "nodes/execnodes.h"
#include "utils/array.h"
#include "utils/dsa.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(guardrail_collect_add);
PG_FUNCTION_INFO_V1(guardrail_collect_units_add);
PG_FUNCTION_INFO_V1(guardrail_collect_combine);
PG_FUNCTION_INFO_V1(guardrail_collect_serialize);
PG_FUNCTION_INFO_V1(guardrail_collect_deserialize);
PG_FUNCTION_INFO_V1(guardrail_collect_final);

#define FIRST_COLUMN 6			/* argument number of the first column */

/* A name in words: all of it up to 16 bytes, else its ends. */
typedef struct NameKey
{
	uint64		low;
	uint64		high;
	int			len;
} NameKey;

typedef struct LikelyArm
{
	NameKey		key;
	int			arm;			/* -1: none yet */
} LikelyArm;

/* What the transition knows about its arguments. */
typedef struct Input
{
	Oid			arm_type;
	FmgrInfo	arm_output;
	bool		arm_is_text;
	Datum		last_arm_datum; /* by-value variants: the last one seen */
	int			last_arm;		/* -1: none yet */
	LikelyArm	likely_arm[256];	/* of names like this */
	UnitHash	unit;
	Oid		   *column_type;	/* base types */
	bool	   *has_ties;		/* the column's events have a histogram */
} Input;

typedef struct State
{
	Units	   *units;
	Input	   *input;			/* NULL in a state that was received */
} State;

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	return gr_aggregate_context(fcinfo, "_guardrail_collect");
}

static Oid
argument_type(FunctionCallInfo fcinfo, int i)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, i);

	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_DATATYPE),
				 errmsg("could not determine the type of argument %d of _guardrail_collect", i)));
	return getBaseType(type);
}

static Input *
make_input(FunctionCallInfo fcinfo, const CollectSpec *spec)
{
	Input	   *input = palloc0(sizeof(Input));
	Oid			output;
	bool		varlena;
	int			arg = FIRST_COLUMN;

	input->arm_type = argument_type(fcinfo, 4);
	input->arm_is_text = input->arm_type == TEXTOID || input->arm_type == VARCHAROID;
	input->last_arm = -1;
	for (Size i = 0; i < lengthof(input->likely_arm); i++)
		input->likely_arm[i].arm = -1;
	if (!input->arm_is_text && !get_typbyval(input->arm_type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("variants of type %s are not supported",
						format_type_be(input->arm_type)),
				 errhint("Use a variant of type text, enum, integer or boolean.")));
	getTypeOutputInfo(input->arm_type, &output, &varlena);
	fmgr_info_cxt(output, &input->arm_output, CurrentMemoryContext);
	gr_unit_hash_init(&input->unit, argument_type(fcinfo, 5), PG_GET_COLLATION());
	input->column_type = palloc(sizeof(Oid) * Max(spec->ncolumns, 1));
	input->has_ties = palloc0(sizeof(bool) * Max(spec->ncolumns, 1));
	for (int f = 0; f < spec->nfolds; f++)
		if (spec->folds[f].kind->in_bins)
			input->has_ties[spec->folds[f].column] = true;
	for (int k = 0; k < spec->ncolumns; k++)
	{
		if (arg + (spec->filtered[k] ? 1 : 0) >= PG_NARGS())
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("_guardrail_collect has fewer arguments than columns")));
		input->column_type[k] = argument_type(fcinfo, arg++);
		if (!gr_is_number_type(input->column_type[k]))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column %d of _guardrail_collect is of type %s, not a number",
							k + 1, format_type_be(input->column_type[k]))));
		if (spec->filtered[k] && argument_type(fcinfo, arg++) != BOOLOID)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("filter of column %d of _guardrail_collect is not boolean", k + 1)));
	}
	if (arg != PG_NARGS())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("_guardrail_collect has more arguments than columns")));
	return input;
}

/* Does this process fold what it collects, or is that sent to another? */
static bool
folds_itself(FunctionCallInfo fcinfo)
{
	return IsA(fcinfo->context, AggState) &&
		!DO_AGGSPLIT_SKIPFINAL(((AggState *) fcinfo->context)->aggsplit);
}

static void
close_files(Datum arg)
{
	gr_spill_close((Units *) DatumGetPointer(arg));
}

/* keeps: all units must fit, as they are the result, or those of one group of many. */
static State *
make_state(FunctionCallInfo fcinfo, MemoryContext context, bool keeps)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	State	   *state = palloc0(sizeof(State));
	CollectSpec *spec = gr_spec_parse(gr_arg_text(fcinfo, 1, "spec"));

	if (PG_ARGISNULL(3) || PG_GETARG_INT32(3) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"memory_kb\" must be greater than 0")));
	state->units = gr_units_make(context, spec, (Size) PG_GETARG_INT32(3) * 1024);
	state->input = make_input(fcinfo, spec);
	if (!PG_ARGISNULL(2))
	{
		Datum	   *names;
		bool	   *nulls;
		int			n;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false,
						  TYPALIGN_INT, &names, &nulls, &n);
		for (int i = 0; i < n; i++)
		{
			char	   *name = nulls[i] ? NULL : TextDatumGetCString(names[i]);

			if (name == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						 errmsg("argument \"arms\" must not contain NULL")));
			gr_units_add_arm(state->units, name, strlen(name));
		}
		state->units->arms_fixed = true;
	}
	state->units->is_sent = !folds_itself(fcinfo);
	if (!state->units->is_sent && !keeps && !gr_spec_has_pooled_cap(spec))
	{
		state->units->may_spill = true;
		AggRegisterCallback(fcinfo, close_files, PointerGetDatum(state->units));
	}
	MemoryContextSwitchTo(old);
	return state;
}

static inline uint32
word_at(const char *p)
{
	uint32		word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* Four words that overlap where the name is short, so that its length decides no branch. */
static inline NameKey
name_key(const char *name, int len)
{
	NameKey		key = {.len = len};

	if (len >= 4)
	{
		key.low = word_at(name) | (uint64) word_at(name + Min(4, len - 4)) << 32;
		key.high = word_at(name + Max(len - 8, 0)) | (uint64) word_at(name + len - 4) << 32;
	}
	else
		memcpy(&key.low, name, len);
	return key;
}

/*
 * The arm of that name.  Arms come at random, so that comparing with one after
 * the other would be mispredicted: what names look like leads to the arm.
 */
static int
find_named_arm(State *state, const char *name, int len)
{
	NameKey		key = name_key(name, len);
	LikelyArm  *likely = &state->input->likely_arm[((key.low ^ key.high) * UINT64CONST(0x9E3779B97F4A7C15)) >> 56];
	bool		same = likely->arm >= 0 && key.low == likely->key.low &&
		key.high == likely->key.high && key.len == likely->key.len;

	if (!same || (len > 16 && !gr_units_is_arm(state->units, likely->arm, name, len)))
	{
		likely->key = key;
		likely->arm = gr_units_arm(state->units, name, len);
	}
	return likely->arm;
}

/* The row's arm; negative when it has none that is known. */
static int
find_arm(State *state, Datum variant)
{
	Units	   *u = state->units;
	Input	   *input = state->input;

	if (input->arm_is_text)
	{
		struct varlena *v = gr_packed(variant);

		return find_named_arm(state, VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
	}
	if (input->last_arm < 0 || variant != input->last_arm_datum)
	{
		const char *name;

		/* as a cast to text writes it */
		if (input->arm_type == BOOLOID)
			name = DatumGetBool(variant) ? "true" : "false";
		else
			name = OutputFunctionCall(&input->arm_output, variant);
		input->last_arm = gr_units_arm(u, name, strlen(name));
		input->last_arm_datum = variant;
	}
	return input->last_arm;
}

/*
 * The values of a row into the buffer, its NULLs and non-finite values into the
 * counts.
 */
static void
read_row(FunctionCallInfo fcinfo, State *state, RowCounts *counts, int batch,
		 double *value)
{
	const CollectSpec *spec = state->units->spec;
	int			arg = FIRST_COLUMN;

	for (int k = 0; k < spec->ncolumns; k++, value++)
	{
		bool		null = PG_ARGISNULL(arg);
		Datum		datum = PG_GETARG_DATUM(arg);
		bool		passes = true;

		arg++;
		if (spec->filtered[k])
		{
			passes = !PG_ARGISNULL(arg) && PG_GETARG_BOOL(arg);
			arg++;
		}
		*value = NAN;
		if (!passes)
			continue;
		if (null)
		{
			counts->nulls[k * GR_BATCHES + batch]++;
			continue;
		}
		*value = gr_number(datum, state->input->column_type[k]);
		if (!isfinite(*value))
		{
			counts->nonfinite[k * GR_BATCHES + batch]++;
			*value = NAN;
		}
		else if (state->input->has_ties[k])
			gr_ties_add(&counts->ties[k], *value);
	}
}

static Datum
collect_add(FunctionCallInfo fcinfo, bool keeps)
{
	State	   *state;
	Units	   *u;
	int			arm;
	uint64		hash;
	BufferedRow *row;

	if (PG_NARGS() < FIRST_COLUMN)
		elog(ERROR, "_guardrail_collect has too few arguments");
	state = PG_ARGISNULL(0) ? make_state(fcinfo, aggregate_context(fcinfo), keeps) :
		(State *) PG_GETARG_POINTER(0);
	u = state->units;
	if (PG_ARGISNULL(5))
	{
		u->null_unit_rows++;
		PG_RETURN_POINTER(state);
	}
	arm = PG_ARGISNULL(4) ? -1 : find_arm(state, PG_GETARG_DATUM(4));
	if (arm < 0)
	{
		u->unknown_arm_rows++;
		PG_RETURN_POINTER(state);
	}
	hash = gr_unit_hash(&state->input->unit, PG_GETARG_DATUM(5));
	row = gr_units_row(u, hash);
	row->arm = arm;
	read_row(fcinfo, state, &u->counts[arm], gr_batch_of(hash), row->value);
	if (u->spec->events < 0 || row->value[u->spec->folds[u->spec->events].column] > 0)
		u->counts[arm].rows[gr_batch_of(hash)]++;
	gr_units_add(u, row);
	PG_RETURN_POINTER(state);
}

Datum
guardrail_collect_add(PG_FUNCTION_ARGS)
{
	return collect_add(fcinfo, false);
}

/* guardrail_collect_units_add: the same, of aggregates whose units must fit */
Datum
guardrail_collect_units_add(PG_FUNCTION_ARGS)
{
	return collect_add(fcinfo, true);
}

Datum
guardrail_collect_combine(PG_FUNCTION_ARGS)
{
	State	   *a = PG_ARGISNULL(0) ? NULL : (State *) PG_GETARG_POINTER(0);
	State	   *b = PG_ARGISNULL(1) ? NULL : (State *) PG_GETARG_POINTER(1);

	(void) aggregate_context(fcinfo);
	if (b == NULL)
	{
		if (a == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(a);
	}
	/* received states live as long as the aggregate does */
	if (a == NULL)
		PG_RETURN_POINTER(b);
	gr_units_combine(a->units, b->units);
	PG_RETURN_POINTER(a);
}

/*
 * Where a process below a Gather leaves its units for the leader: the memory that
 * the processes of a query share.  NULL: there is none.
 */
static dsa_area *
area_of_sender(FunctionCallInfo fcinfo)
{
	/* the final function of guardrail_collect_units is the same one */
	if (!IsA(fcinfo->context, AggState) || !DO_AGGSPLIT_SERIALIZE(((AggState *) fcinfo->context)->aggsplit))
		return NULL;
	return ((AggState *) fcinfo->context)->ss.ps.state->es_query_dsa;
}

static dsa_area *
area_of_receiver(FunctionCallInfo fcinfo)
{
	PlanState  *node = IsA(fcinfo->context, AggState) ? outerPlanState(fcinfo->context) : NULL;

	while (node && !IsA(node, GatherState) && !IsA(node, GatherMergeState))
		node = outerPlanState(node);
	if (node && IsA(node, GatherState))
		return castNode(GatherState, node)->pei ? castNode(GatherState, node)->pei->area : NULL;
	if (node)
		return castNode(GatherMergeState, node)->pei ? castNode(GatherMergeState, node)->pei->area : NULL;
	return NULL;
}

/* The states of several groups may outlive the Gather, when it is shut down early. */
static bool
has_one_group(FunctionCallInfo fcinfo)
{
	return IsA(fcinfo->context, AggState) && ((AggState *) fcinfo->context)->aggstrategy == AGG_PLAIN;
}

/* also the final function of guardrail_collect_units */
Datum
guardrail_collect_serialize(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	PG_RETURN_BYTEA_P(gr_units_serialize(((State *) PG_GETARG_POINTER(0))->units,
										 area_of_sender(fcinfo)));
}

Datum
guardrail_collect_deserialize(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	State	   *state = MemoryContextAllocZero(context, sizeof(State));

	state->units = gr_units_deserialize(context, PG_GETARG_BYTEA_PP(0), area_of_receiver(fcinfo),
										has_one_group(fcinfo));
	PG_RETURN_POINTER(state);
}

Datum
guardrail_collect_final(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(gr_collection_encode(gr_units_fold(((State *) PG_GETARG_POINTER(0))->units)));
}
