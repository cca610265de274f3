/*
 * rights.c
 *	  What a missing right means, and what to do about it.
 *
 * The server says which right on which object is missing.  Who reads that knows
 * neither which role lacks it, since the events are read as the experiment's owner and
 * the catalog as the caller, nor which view holds the same for everybody.
 */
#include "base/rights.h"

#include <ctype.h>

#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

bool
gr_granted_by_name(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			role = GetUserId();
	bool		granted;
	bool		null;
	Datum		acl;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	granted = has_privs_of_role(role, ((Form_pg_proc) GETSTRUCT(tuple))->proowner);
	acl = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proacl, &null);
	if (!granted && !null)
	{
		Acl		   *list = DatumGetAclPCopy(acl);
		const AclItem *items = ACL_DAT(list);

		for (int i = 0; i < ACL_NUM(list) && !granted; i++)
			granted = items[i].ai_grantee != ACL_ID_PUBLIC &&
				(ACLITEM_GET_PRIVS(items[i]) & ACL_EXECUTE) != 0 &&
				has_privs_of_role(role, items[i].ai_grantee);
	}
	ReleaseSysCache(tuple);
	return granted;
}

static const char *
current_role(void)
{
	char	   *name = GetUserNameFromId(GetUserId(), true);

	return name ? quote_identifier(name) : "the current role";
}

/* The first word of a text that begins like the names of guardrail's tables; NULL: none. */
static char *
own_relation(const char *text)
{
	const char *start = strstr(text, "guardrail_");
	const char *end = start;

	if (start == NULL)
		return NULL;
	while (isalnum((unsigned char) *end) || *end == '_')
		end++;
	return pnstrdup(start, end - start);
}

static void
hint_own(const char *relation)
{
	static const char *const views[] = {"guardrail_verdict", "guardrail_result", "guardrail_segment_result"};
	const char *role = current_role();

	for (int i = 0; i < (int) lengthof(views); i++)
		if (strcmp(relation, views[i]) == 0)
		{
			errhint("GRANT SELECT ON %s TO %s.", relation, role);
			return;
		}
	if (strcmp(relation, "guardrail_experiment") == 0 || strcmp(relation, "guardrail_rule") == 0)
		errhint("GRANT SELECT ON guardrail_experiment, guardrail_rule TO %s, or read the recorded verdicts in view guardrail_verdict.",
				role);
	else
		errhint("GRANT SELECT ON %s TO %s, or read the last recorded check in views guardrail_verdict and guardrail_result.",
				relation, role);
}

void
gr_hint_at_rights(void *arg)
{
	MemoryContext old;
	ErrorData  *error;
	char	   *relation;

	if (geterrcode() != ERRCODE_INSUFFICIENT_PRIVILEGE)
		return;
	old = MemoryContextSwitchTo(arg);
	error = CopyErrorData();
	if (error->hint == NULL && error->message)
	{
		relation = own_relation(error->message);
		if (relation)
			hint_own(relation);
		else
			errhint("The statement runs with the rights of role %s. Grant the missing right to that role.", current_role());
	}
	FreeErrorData(error);
	MemoryContextSwitchTo(old);
}

void
gr_hint_events(const char *relation, Oid role, bool is_owner)
{
	const char *name = quote_identifier(GetUserNameFromId(role, false));

	if (is_owner)
		errhint("GRANT SELECT ON %s TO %s, which owns the experiment.", relation, name);
	else
		errhint("GRANT SELECT ON %s TO %s. The recorded verdicts in view guardrail_verdict need no right on the events.",
				relation, name);
}

const char *
gr_error_text(const ErrorData *error)
{
	if (error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE || error->hint == NULL)
		return error->message;
	return psprintf("%s: %s", error->message, error->hint);
}
