/*
 * intact.c
 *	  Is the registered plan what the rows say, and what do reasons say of it?
 */
#include "catalog/catalog.h"

#include "executor/spi.h"

void
gr_plan_note(const char *schema, const Experiment *e, MemoryContext context, char **note)
{
	const char *args[] = {e->id, psprintf("%d", e->plan_version)};
	OwnerContext saved;
	bool		after_data;

	gr_writer_enter(&saved, e->function);
	gr_spi_query(psprintf("SELECT after_data FROM %s.guardrail_plan"
						  " WHERE experiment_id = $1 AND version = $2::integer", schema), true, 2, args);
	after_data = SPI_processed > 0 && gr_spi_bool(0, 1);
	gr_owner_leave(&saved);
	*note = NULL;
	if (e->plan_version > 1)
		*note = MemoryContextStrdup(context, psprintf("plan version %d, amended%s", e->plan_version,
													  after_data ? " after data" : ""));
	else if (after_data)
		*note = MemoryContextStrdup(context, "registered after data");
}

char *
gr_plan_broken(const char *schema, const Experiment *e, MemoryContext context, char **note)
{
	const char *args[] = {e->id};
	OwnerContext saved;
	char	   *broken = NULL;

	*note = NULL;
	if (strcmp(e->state, "draft") == 0)
		return NULL;
	gr_writer_enter(&saved, e->function);
	gr_spi_query(psprintf("SELECT %s._guardrail_plan_intact($1)", schema), true, 1, args);
	if (!gr_spi_bool(0, 1))
	{
		gr_spi_query(psprintf("SELECT pg_catalog.string_agg(f.finding, '; ') FROM ("
							  "SELECT pg_catalog.format('version %%s: %%s', version, finding) FROM %s._guardrail_plan_chain($1)"
							  " WHERE finding IS NOT NULL"
							  " UNION ALL SELECT finding FROM %s._guardrail_waiver_chain($1) WHERE finding IS NOT NULL"
							  " UNION ALL SELECT * FROM %s._guardrail_plan_present($1)) AS f(finding)",
							  schema, schema, schema), true, 1, args);
		broken = gr_spi_text(0, 1);
	}
	gr_owner_leave(&saved);
	gr_plan_note(schema, e, context, note);
	return broken ? MemoryContextStrdup(context, broken) : NULL;
}
