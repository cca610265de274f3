/*
 * expression.c
 *	  Is a text one SQL expression over an event, and of which type?
 *
 * The raw parser says whether it is one expression and nothing else; only then
 * is it put between parentheses, on lines of its own so that a comment at its
 * end hides nothing, into a statement.
 */
#include "catalog/expression.h"

#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "units/hash.h"
#include "utils/typcache.h"
#include "utils/fmgroids.h"

/* Bytes of an expression's text. */
#define MAX_EXPRESSION 65536

static void
not_one_expression(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("it is not a single expression"),
			 errdetail_internal("%s", detail)));
}

/* Raw parse: exactly one expression, without a name, clause or star. */
static void
require_one_expression(const char *text)
{
	List	   *parsed;
	SelectStmt *select;
	ResTarget  *target;

	if (strspn(text, " \t\r\n\f\v") == strlen(text))
		not_one_expression("It is empty.");
	parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	if (list_length(parsed) != 1)
		not_one_expression("It is more than one statement.");
	select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;
	if (!IsA(select, SelectStmt) || select->op != SETOP_NONE ||
		select->valuesLists || select->withClause || select->intoClause ||
		select->distinctClause || select->fromClause || select->whereClause ||
		select->groupClause || select->havingClause || select->windowClause ||
		select->sortClause || select->limitOffset || select->limitCount ||
		select->lockingClause)
		not_one_expression("It has clauses of a query.");
	if (select->targetList == NIL)
		not_one_expression("It is empty.");
	if (list_length(select->targetList) > 1)
		not_one_expression("It is a list of expressions.");
	target = linitial_node(ResTarget, select->targetList);
	if (target->name != NULL)
		not_one_expression("It names its result.");
	if (IsA(target->val, ColumnRef) &&
		IsA(llast(((ColumnRef *) target->val)->fields), A_Star))
		not_one_expression("It is a star.");
}

char *
gr_relation_name(Oid relation)
{
	char	   *name = get_rel_name(relation);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relation),
				 errhint("Set column events or exposures of guardrail_experiment to an existing table or view.")));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  name);
}

static void
refuse(bool found, const char *what)
{
	if (found)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("it contains %s", what),
				 errhint("Write an expression over a single event row; unit_aggregate combines the events of a unit.")));
}

/* The statement that has the expression as its only column. */
static Query *
analyse(Oid events, const char *text)
{
	char	   *sql = psprintf("SELECT (\n%s\n) FROM %s", text, gr_relation_name(events));
	List	   *parsed = raw_parser(sql, RAW_PARSE_DEFAULT);

	return parse_analyze_fixedparams(linitial_node(RawStmt, parsed), sql, NULL, 0, NULL);
}

static bool
note_function(Oid function, void *context)
{
	List	  **functions = context;

	if (function >= FirstNormalObjectId)
		*functions = list_append_unique_oid(*functions, function);
	return false;
}

static bool
walk_functions(Node *node, void *context)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, note_function, context);
	return expression_tree_walker(node, walk_functions, context);
}

List *
gr_expression_functions(Oid events, const char *text, List *functions)
{
	require_one_expression(text);
	(void) walk_functions((Node *) analyse(events, text)->targetList, &functions);
	return functions;
}

/* The expression, after the refusals that query.h speaks of. */
static Node *
one_expression(Oid events, const char *text)
{
	Query	   *query;
	Node	   *expression;

	require_one_expression(text);
	query = analyse(events, text);
	refuse(query->hasAggs, "an aggregate");
	refuse(query->hasWindowFuncs, "a window function");
	refuse(query->hasTargetSRFs, "a set-returning function");
	refuse(query->hasSubLinks, "a subquery");
	expression = (Node *) linitial_node(TargetEntry, query->targetList)->expr;
	refuse(contain_volatile_functions(expression), "a volatile function");
	return expression;
}

Oid
gr_expression_type(Oid events, const char *text)
{
	return exprType(one_expression(events, text));
}

static bool
is_clock(Oid function, void *context)
{
	switch (function)
	{
		case F_NOW:
		case F_TRANSACTION_TIMESTAMP:
		case F_STATEMENT_TIMESTAMP:
		case F_AGE_TIMESTAMP:
		case F_AGE_TIMESTAMPTZ:
			return true;
	}
	return false;
}

static bool
clock_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction) &&
		((SQLValueFunction *) node)->op <= SVFOP_LOCALTIMESTAMP_N)
		return true;
	if (check_functions_in_node(node, is_clock, context))
		return true;
	return expression_tree_walker(node, clock_walker, context);
}

bool
gr_expression_reads_clock(Oid events, const char *text)
{
	return clock_walker(one_expression(events, text), NULL);
}

/* An integer constant. */
static bool
whole_number(Node *node, int64 *x)
{
	Const	   *c = (Const *) node;

	if (!IsA(node, Const) || c->constisnull)
		return false;
	switch (c->consttype)
	{
		case INT2OID:
			*x = DatumGetInt16(c->constvalue);
			return true;
		case INT4OID:
			*x = DatumGetInt32(c->constvalue);
			return true;
		case INT8OID:
			*x = DatumGetInt64(c->constvalue);
			return true;
	}
	return false;
}

/* May a division leave a remainder?  That of 3600 / 60 does not. */
static bool
leaves_remainder(OpExpr *division)
{
	int64		a,
				b;

	if (!whole_number(lsecond(division->args), &b))
		return true;
	if (b == 1 || b == -1 || b == 0)
		return false;
	return !whole_number(linitial(division->args), &a) || a % b != 0;
}

static bool
division_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, OpExpr))
	{
		set_opfuncid((OpExpr *) node);
		switch (((OpExpr *) node)->opfuncid)
		{
			case F_INT2DIV:
			case F_INT4DIV:
			case F_INT8DIV:
			case F_INT24DIV:
			case F_INT28DIV:
			case F_INT42DIV:
			case F_INT48DIV:
			case F_INT82DIV:
			case F_INT84DIV:
				if (leaves_remainder((OpExpr *) node))
					return true;
		}
	}
	return expression_tree_walker(node, division_walker, context);
}

bool
gr_expression_divides_integers(Oid events, const char *text)
{
	return division_walker(one_expression(events, text), NULL);
}

bool
gr_type_is_hashable(Oid type)
{
	return OidIsValid(lookup_type_cache(getBaseType(type), TYPECACHE_HASH_EXTENDED_PROC)->hash_extended_proc);
}

static bool
fits(Oid type, ExpressionRole role)
{
	switch (role)
	{
		case EXPRESSION_NUMBER:
			return gr_is_number_type(type);
		case EXPRESSION_CONDITION:
			return getBaseType(type) == BOOLOID;
		case EXPRESSION_CATEGORY:
			break;
	}
	return gr_type_is_hashable(type);
}

/* It would stand several times in each statement, and in each plan. */
static void
refuse_long(const char *text, const char *column, const char *kind, const char *name)
{
	if (strlen(text) > MAX_EXPRESSION)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column \"%s\" of %s \"%s\" holds an expression of %zu bytes", column, kind, name, strlen(text)),
				 errhint("An expression may have up to %d bytes. Compute long ones in a view, and set events to the view.",
						 MAX_EXPRESSION)));
}

/* The type of what a column of the catalog ("column \"value\" of rule \"load\"") holds. */
static Oid
checked_type(Oid events, const char *text, const char *column, const char *kind,
			 const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			type = InvalidOid;

	refuse_long(text, column, kind, name);
	PG_TRY();
	{
		type = gr_expression_type(events, text);
		/* does it plan, and may the writer read it? */
		gr_spi_query(psprintf("EXPLAIN (COSTS OFF) SELECT (\n%s\n) FROM %s", text,
							  gr_relation_name(events)), false, 0, NULL);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg("column \"%s\" of %s \"%s\" holds \"%s\": %s",
						column, kind, name, text, error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 errhint("%s", error->hint ? error->hint :
						 "Set it to one SQL expression over the columns of the events; "
						 "schema-qualify functions outside pg_catalog.")));
	}
	PG_END_TRY();
	return type;
}

Oid
gr_expression_check(Oid events, const char *text, const char *column,
					const char *metric, ExpressionRole role)
{
	Oid			type = checked_type(events, text, column, "rule", metric);

	if (fits(type, role))
		return type;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of rule \"%s\" holds \"%s\", which is of type %s",
					column, metric, text, format_type_be(type)),
			 role == EXPRESSION_CONDITION ? errhint("Set it to a boolean expression.") :
			 role == EXPRESSION_CATEGORY ? errhint("Set it to an expression of a type that can be hashed.") :
			 errhint("Set it to a number or a boolean, which counts as 0 or 1; "
					 "extract(epoch from ...) converts an interval to seconds.")));
}

Oid
gr_segment_type(Oid events, const char *text)
{
	/* the text by itself first: a cast must not be what makes it one expression */
	(void) gr_expression_type(events, text);
	return gr_expression_type(events, psprintf("(\n%s\n)::text", text));
}

void
gr_segment_check(Oid events, const char *text, const char *experiment)
{
	(void) checked_type(events, text, "segments", "experiment", experiment);
	(void) checked_type(events, psprintf("(\n%s\n)::text", text), "segments", "experiment",
						experiment);
}

Oid
gr_column_type(Oid relation, const char *column)
{
	AttrNumber	number = get_attnum(relation, column);

	return number > 0 ? getBaseType(get_atttype(relation, number)) : InvalidOid;
}

bool
gr_compares_days(Oid events, const char *time_column, Oid exposures, const char *exposed_at_column)
{
	return time_column && OidIsValid(exposures) && gr_column_type(events, time_column) == DATEOID &&
		gr_column_type(exposures, exposed_at_column) != DATEOID;
}
