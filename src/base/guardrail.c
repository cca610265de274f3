/*
 * guardrail.c
 *	  Loading the library and its settings.
 *
 * The library keeps no state of its own between calls but the settings below.
 * GSL's error handler, which would abort the server, is switched off here and
 * nowhere else; every GSL status is checked where it arises (src/stats).
 */
#include "base/owner.h"

GR_MODULE_MAGIC;

int			guardrail_unit_memory = 256 * 1024;
bool		guardrail_use_slices = true;
int			guardrail_check_timeout = 10 * 60 * 1000;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	gr_stats_init();

	DefineCustomIntVariable("guardrail.unit_memory",
							"Memory that one process may use for the units of one scan.",
							"Units that need more memory are spilled to temporary files.",
							&guardrail_unit_memory,
							256 * 1024, 64, 1024 * 1024,
							PGC_USERSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomBoolVariable("guardrail.use_slices",
							 "Read the stored slices of experiments with a cursor_column, and only the events after them.",
							 "When off, every check and every live function reads all events, and nothing is stored.",
							 &guardrail_use_slices,
							 true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("guardrail.check_timeout",
							"Time that guardrail_check() gives each experiment.",
							"A check that takes longer is recorded as failed, and the run goes on. 0 turns the limit off.",
							&guardrail_check_timeout,
							10 * 60 * 1000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	MarkGUCPrefixReserved("guardrail");
	gr_forbid_side_effects();
}
