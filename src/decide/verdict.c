/*
 * verdict.c
 *	  From the statuses of an arm's metrics to SHIP, HOLD, BLOCK or INVALID.
 *
 * An invalid test has no other verdict.  A veto comes before everything else, and an arm
 * ships only when nothing is left that keeps it from it.
 */
#include "decide/words.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Append a clause, "; " between clauses; what does not fit ends in "...". */
static void GR_PRINTF(4, 5)
add_clause(char *buf, size_t size, const char *separator, const char *format,...)
{
	size_t		used = strlen(buf);
	char		clause[GR_REASON_SIZE + 200];
	va_list		args;

	va_start(args, format);
	vsnprintf(clause, sizeof(clause), format, args);
	va_end(args);
	if (used + strlen(separator) + strlen(clause) + 8 < size)
		snprintf(buf + used, size - used, "%s%s", used ? separator : "", clause);
	else if (used + 8 < size && (used < 3 || strcmp(buf + used - 3, "...") != 0))
		snprintf(buf + used, size - used, "%s...", separator);
}

bool
gr_test_invalid(const GrTestState *test, char *why, size_t size)
{
	int64_t		all = test->total_units + test->crossover_units;
	const char *split = test->split ? test->split : "";
	double		share = all > 0 ? (double) test->crossover_units / (double) all : 0;

	if (test->plan_broken)
	{
		snprintf(why, size, "plan changed after launch: %.*s",
				 gr_fitting(test->plan_broken, (int) size - 40), test->plan_broken);
		return true;
	}
	if (test->surplus_arms)
	{
		snprintf(why, size, "too many arm names: the events contain more variants than one test can compare, and the rows of "
				 "the rarest are left out; list the planned variants in shares");
		return true;
	}
	if (test->srm_p < test->srm_alpha)
	{
		snprintf(why, size, "sample ratio mismatch: %.*s (p = %.2g, alarm below %g)",
				 gr_fitting(split, 300), split, test->srm_p, test->srm_alpha);
		return true;
	}
	if (all >= test->min_units && share > test->max_crossover)
	{
		snprintf(why, size, "crossover: %" PRId64 " units (%.3g %%) appear in more than one variant, "
				 "and at most %.3g %% may", test->crossover_units, 100 * share,
				 100 * test->max_crossover);
		return true;
	}
	return false;
}

/* Names of guardrails, as the status lists them. */
typedef struct Names
{
	char		blocking[1500];
	char		others[1500];	/* breached without a veto */
	char		no_data[1500];	/* the rest: of those that can keep an arm from SHIP */
	char		unmeasured[1500];
	char		watch[1500];
} Names;

static void
add_name(char *names, const GrRule *rule)
{
	add_clause(names, sizeof(((Names *) NULL)->blocking), ", ", "%.100s", rule->metric);
}

/* Counts and names by status. */
static void
count_guardrails(const GrResult *results, int nrules, GrArmVerdict *out, Names *names)
{
	for (int i = 0; i < nrules; i++)
	{
		const GrResult *r = &results[i];

		if (r->rule->role == GR_PRIMARY)
			out->primary = r;
		if (r->rule->role != GR_GUARDRAIL)
			continue;
		if (r->segments && !r->waived)
			add_clause(r->segments_veto ? names->blocking : names->others, sizeof(names->blocking), ", ",
					   "%s", r->segments);
		out->guardrails++;
		out->no_data += (r->status == GR_NO_DATA);
		out->undecided += (r->status == GR_UNDECIDED);
		out->safe += (r->status == GR_IS_SAFE);
		out->breached += (r->status == GR_BREACHED);
		out->unmeasured += (r->status == GR_UNMEASURED);
		out->watch += r->watch;
		/* it counts as what it is, and keeps nobody from anything */
		if (r->waived)
			continue;
		if (r->status == GR_BREACHED)
			add_name(r->rule->severity == GR_BLOCK ? names->blocking : names->others, r->rule);
		if (r->rule->severity == GR_WARN)
			continue;
		if (r->status == GR_NO_DATA)
			add_name(names->no_data, r->rule);
		if (r->status == GR_UNMEASURED)
			add_name(names->unmeasured, r->rule);
		if (r->watch)
			add_name(names->watch, r->rule);
	}
}

/*
 * Has the window of most units not closed yet?  What the others did says what
 * early units do, and not what the units of the test do.
 */
static bool
is_immature(const GrResult *r, const GrArm *control)
{
	return 2 * r->immature > r->arm->units ||
		(r->rule->limit_kind != GR_LIMIT_ABSOLUTE && 2 * r->immature_control > control->units);
}

static void
list_immature(const GrResult *results, int nrules, const GrArm *control, char *why, size_t size)
{
	for (int i = 0; i < nrules; i++)
	{
		const GrResult *r = &results[i];

		if (r->rule->role == GR_SECONDARY || r->rule->severity == GR_WARN || r->waived || !is_immature(r, control))
			continue;
		add_clause(why, size, "; ", "%.100s is immature: the window has closed for %" PRId64 " of %" PRId64
				   " units in \"%.*s\", %" PRId64 " of %" PRId64 " in \"%.*s\"", r->rule->metric,
				   gr_mature_units(r), r->arm->units, gr_fitting(r->arm->name, 60), r->arm->name,
				   gr_mature_control(r, control), control->units,
				   gr_fitting(control->name, 60), control->name);
	}
}

/* Rows of other variants may be those that are missing. */
static void
name_unknown_arms(const GrTestState *test, char *why, size_t size)
{
	if (test->unknown_arms)
		add_clause(why, size, "; ", "variants that are not planned: %s", test->unknown_arms);
}

/* What keeps the arm from SHIP; nothing written: SHIP. */
static void
list_missing(const GrResult *results, int nrules, const GrArm *arm,
			 const GrArm *control, const GrTestState *test, GrArmVerdict *out)
{
	char	   *why = out->reason;
	size_t		size = sizeof(out->reason);
	const GrResult *primary = out->primary;

	if (arm->units < test->min_units || control->units < test->min_units)
		add_clause(why, size, "; ", "too few units: %" PRId64 " in \"%.*s\", %" PRId64
				   " in \"%.*s\", at least %" PRId64 " are needed in each",
				   arm->units, gr_fitting(arm->name, 60), arm->name,
				   control->units, gr_fitting(control->name, 60), control->name,
				   test->min_units);
	name_unknown_arms(test, why, size);
	if (!test->over && test->planned_units > 0)
		add_clause(why, size, "; ", "the test is not over: %" PRId64 " of %" PRId64 " units are in%s",
				   test->mature_units, test->planned_units,
				   test->mature_units < test->total_units ? " and mature" : "");
	else if (!test->over)
		add_clause(why, size, "; ", "the test is not over");
	list_immature(results, nrules, control, why, size);
	if (arm->held)
		add_clause(why, size, "; ", "loosened after data and not waived: %s", arm->held);
	if (primary == NULL)
		add_clause(why, size, "; ", "the plan has no primary metric");
	else if (primary->status != GR_WON)
		add_clause(why, size, "; ", primary->status == GR_LOST ?
				   "the primary lost: %s" : "the primary has not won: %s", primary->reason);
	for (int i = 0; i < nrules; i++)
	{
		const GrResult *r = &results[i];

		if (r->rule->role != GR_GUARDRAIL || r->rule->severity == GR_WARN || r->waived)
			continue;
		if (r->status == GR_BREACHED)
			add_clause(why, size, "; ", "breached: %s", r->reason);
		else if (r->status == GR_UNMEASURED)
			add_clause(why, size, "; ", "not measured: %s", r->reason);
		else if (r->rule->evidence == GR_SAFE && r->status != GR_IS_SAFE)
			add_clause(why, size, "; ", "not proven safe: %s", r->reason);
		else if (r->status == GR_NO_DATA ||
				 (r->rule->evidence == GR_POINT && r->status == GR_UNDECIDED))
			add_clause(why, size, "; ", "not known: %s", r->reason);
		else if (r->watch)
			add_clause(why, size, "; ", "to be watched: %s", r->reason);
	}
}

static void
write_status(GrArmVerdict *out, const GrArm *arm, const GrArm *control,
			 const GrTestState *test, const Names *names)
{
	size_t		size = sizeof(out->status);

	if (names->blocking[0])
		snprintf(out->status, size, "BLOCK: %s", names->blocking);
	else if (arm->units == 0 || control->units == 0)
		snprintf(out->status, size, "NO DATA");
	else if (arm->units < test->min_units || control->units < test->min_units)
		snprintf(out->status, size, "NO DATA: fewer than %" PRId64 " units in a variant",
				 test->min_units);
	else if (out->guardrails > 0 && out->no_data == out->guardrails)
		snprintf(out->status, size, "NO DATA");
	else if (names->no_data[0])
		snprintf(out->status, size, "NO DATA: %s", names->no_data);
	else if (names->unmeasured[0])
		snprintf(out->status, size, "UNMEASURED: %s", names->unmeasured);
	else if (names->watch[0])
		snprintf(out->status, size, "WATCH: %s", names->watch);
	else
		snprintf(out->status, size, "OK");
	if (!names->blocking[0] && names->others[0])
		add_clause(out->status, size, "; ", "breached without a veto: %s", names->others);
	if (arm->held && !names->blocking[0])
		add_clause(out->status, size, "; ", "loosened after data: %s", arm->held);
	if (arm->waived)
		add_clause(out->status, size, "; ", "waived: %s", arm->waived);
}

/* Whatever else the reason says, it says this. */
static void
add_note(const char *what, const char *note, GrArmVerdict *out)
{
	int			length = gr_fitting(note, 1000);
	size_t		most = sizeof(out->reason) - strlen(what) - length - 3;

	if (strlen(out->reason) > most)
		out->reason[gr_fitting(out->reason, (int) most)] = '\0';
	gr_append(out->reason, sizeof(out->reason), "; %s%.*s", what, length, note);
}

/* What is breached in segments, with a veto or without. */
static void
list_segments(const GrResult *results, int nrules, bool veto, GrArmVerdict *out)
{
	for (int i = 0; i < nrules; i++)
		if (results[i].segments && (results[i].segments_veto && !results[i].waived) == veto)
			add_clause(out->reason, sizeof(out->reason), "; ", veto ? "%s" : "alarm without a veto: %s",
					   results[i].segments_reason);
}

static void
decide_arm(const GrResult *results, int nrules, const GrArm *arm,
		   const GrArm *control, const GrTestState *test, GrArmVerdict *out)
{
	Names		names = {"", "", "", "", ""};
	char		why[GR_REASON_SIZE];

	memset(out, 0, sizeof(*out));
	count_guardrails(results, nrules, out, &names);
	write_status(out, arm, control, test, &names);
	if (gr_test_invalid(test, why, sizeof(why)))
	{
		out->verdict = GR_VERDICT_INVALID;
		snprintf(out->status, sizeof(out->status), "INVALID: %.*s",
				 (int) strcspn(why, ":"), why);
		snprintf(out->reason, sizeof(out->reason), "%s", why);
		name_unknown_arms(test, out->reason, sizeof(out->reason));
		/* whoever writes such names must not hide what they are about */
		if (test->surplus_arms && names.blocking[0])
			add_clause(out->reason, sizeof(out->reason), "; ", "breached: %s", names.blocking);
		return;
	}
	if (names.blocking[0])
	{
		out->verdict = GR_VERDICT_BLOCK;
		for (int i = 0; i < nrules; i++)
			if (results[i].rule->role == GR_GUARDRAIL &&
				results[i].rule->severity == GR_BLOCK &&
				results[i].status == GR_BREACHED && !results[i].waived)
				add_clause(out->reason, sizeof(out->reason), "; ", "%s", results[i].reason);
		list_segments(results, nrules, true, out);
		return;
	}
	list_missing(results, nrules, arm, control, test, out);
	out->verdict = out->reason[0] ? GR_VERDICT_HOLD : GR_VERDICT_SHIP;
	if (out->verdict == GR_VERDICT_SHIP)
	{
		snprintf(out->reason, sizeof(out->reason), "%s", out->primary->reason);
		add_clause(out->reason, sizeof(out->reason), "; ",
				   "guardrails: %d safe, %d undecided, %d breached",
				   out->safe, out->undecided, out->breached);
	}
	list_segments(results, nrules, false, out);
}

void
gr_decide_verdict(const GrResult *results, int nrules, const GrArm *arm,
				  const GrArm *control, const GrTestState *test, GrArmVerdict *out)
{
	decide_arm(results, nrules, arm, control, test, out);
	if (arm->loosened)
		add_note("loosened: ", arm->loosened, out);
	if (arm->waived)
		add_note("waived: ", arm->waived, out);
	if (test->decided)
		add_note("", test->decided, out);
	if (test->plan_note)
		add_note("", test->plan_note, out);
}
