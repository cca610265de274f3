/*
 * line.c
 *	  The last recorded check of an experiment in one line.
 */
#include "api/api.h"

#include "executor/spi.h"

/* Arms that a line names. */
#define MOST_ARMS 5

char *
gr_check_line(FunctionCallInfo fcinfo, const char *schema, const char *id)
{
	const char *args[] = {id};
	OwnerContext saved;
	StringInfoData buf;
	int			n;

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	/* a status that begins with the verdict says more */
	gr_spi_query(psprintf("SELECT variant, CASE WHEN pg_catalog.starts_with(status, verdict) THEN status ELSE verdict END, status"
						  " FROM %s.guardrail_check_log WHERE experiment_id = $1 AND check_id ="
						  " (SELECT max(check_id) FROM %s.guardrail_check_log WHERE experiment_id = $1)"
						  " ORDER BY arm_no", schema, schema), false, 1, args);
	gr_owner_leave(&saved);
	n = (int) SPI_processed;
	initStringInfo(&buf);
	for (int i = 0; i < n && i < MOST_ARMS; i++)
		if (gr_spi_text(i, 1))
			appendStringInfo(&buf, "%s%s %s", i ? "; " : "", gr_plainly(gr_spi_text(i, 1)), gr_spi_text(i, 2));
		else
			appendStringInfo(&buf, "%s%s", i ? "; " : "", gr_spi_text(i, 3) ? gr_spi_text(i, 3) : gr_spi_text(i, 2));
	if (n > MOST_ARMS)
		appendStringInfo(&buf, "; and %d more", n - MOST_ARMS);
	return buf.data;
}
