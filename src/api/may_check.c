/*
 * may_check.c
 *	  Who may call guardrail_check.
 *
 * Everybody may execute the procedure, or an owner could not check what is hers.  A
 * check of all experiments asks for more: EXECUTE granted to the role, or to one that
 * it inherits from, by name.
 */
#include "api/api.h"

#include "base/rights.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/syscache.h"

/* The procedure whose grants count: the one for ids that are integers has none of its own. */
static Oid
granted_procedure(Oid function)
{
	const Oid	text[] = {TEXTOID};
	char	   *name = get_func_name(function);
	Oid			procedure = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
											PointerGetDatum(buildoidvector(text, 1)),
											ObjectIdGetDatum(get_func_namespace(function)));

	return OidIsValid(procedure) ? procedure : function;
}

/* May the caller read what the experiments are called, and who owns them? */
static bool
may_read_experiments(Oid function)
{
	Oid			table = get_relname_relid("guardrail_experiment", get_func_namespace(function));

	return OidIsValid(table) && pg_class_aclcheck(table, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/* To be called by "which", or by a role with the right on all. */
GR_NORETURN static void
refuse_check(const char *schema, const char *detail, const char *which)
{
	const char *role = quote_identifier(GetUserNameFromId(GetUserId(), false));

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for procedure guardrail_check"),
			 errdetail_internal("%s", detail),
			 errhint("%s, or GRANT EXECUTE ON PROCEDURE %s.guardrail_check(text) TO %s, which allows it to check every experiment.",
					 which, schema, role)));
}

void
gr_require_may_check(FunctionCallInfo fcinfo, const char *schema)
{
	Oid			function = fcinfo->flinfo->fn_oid;
	OwnerContext saved;
	const char *args[1];
	Oid			owner;
	char	   *name;

	if (gr_granted_by_name(granted_procedure(function)))
		return;
	if (PG_ARGISNULL(0))
		refuse_check(schema, "Without an argument the procedure checks the experiments of all owners.",
					 "Name one experiment, of whose owner you are a member");
	args[0] = gr_arg_text(fcinfo, 0, "experiment");
	gr_writer_enter(&saved, function);
	gr_spi_query(psprintf("SELECT owner::oid::bigint FROM %s.guardrail_experiment WHERE experiment_id = $1", schema),
				 true, 1, args);
	owner = SPI_processed > 0 ? (Oid) gr_spi_int8(0, 1, 0) : InvalidOid;
	gr_owner_leave(&saved);
	if (OidIsValid(owner) && member_can_set_role(GetUserId(), owner))
		return;
	if (may_read_experiments(function))
	{
		/* a wrong name is told as such by what reads it */
		if (!OidIsValid(owner))
			return;
		name = GetUserNameFromId(owner, true);
		refuse_check(schema, psprintf("Experiment \"%s\" belongs to role %s.", args[0],
									  name ? quote_identifier(name) : "that no longer exists"),
					 "Call it as a member of that role");
	}
	/* whoever may not read the experiments learns no names here */
	refuse_check(schema, psprintf("You are not a member of the owner of experiment \"%s\".", args[0]),
				 "Call it as a member of its owner");
}
