/*
 * test_verdict.c
 *	  From the statuses of an arm to its verdict; limits that no share can be beyond.
 *
 * Expected: the table of verdicts in the README; that a share lies between 0 and 1.
 */
#include "test_decide.h"

static void
expect(int line, GrVerdict verdict, GrStatus primary, GrStatus guard, GrSeverity severity,
	   GrEvidence evidence, bool over)
{
	GrRule		rules[2] = {primary_rule("sales", GR_LIMIT_RELATIVE, 0, false),
	guardrail_rule("crash", GR_LIMIT_DIFFERENCE, 0, true)};
	GrArm		arm = {.name = "treatment",.units = 1000,.events = 1000},
				control = {.name = "control",.units = 1000,.events = 1000};
	GrResult	results[2] = {{.rule = &rules[0],.arm = &arm,.status = primary},
	{.rule = &rules[1],.arm = &arm,.status = guard}};
	GrTestState test = {.srm_alpha = 0.001,.srm_p = NAN,.min_units = 100,.max_crossover = 0.01,
	.over = over,.has_primary = true,.total_units = 2000,.mature_units = 2000};
	GrArmVerdict v;

	rules[1].severity = severity;
	rules[1].evidence = evidence;
	for (int i = 0; i < 2; i++)
		snprintf(results[i].reason, sizeof(results[i].reason), "reason %d", i);
	gr_decide_verdict(results, 2, &arm, &control, &test, &v);
	unit_check(v.verdict == verdict, __FILE__, line, "%s, expected %s",
			   gr_verdict_word(v.verdict), gr_verdict_word(verdict));
	/* a trust check comes before everything */
	test.srm_p = 1e-6;
	gr_decide_verdict(results, 2, &arm, &control, &test, &v);
	unit_check(v.verdict == GR_VERDICT_INVALID, __FILE__, line, "not INVALID");
	test.srm_p = 1;
	test.crossover_units = 100;
	gr_decide_verdict(results, 2, &arm, &control, &test, &v);
	unit_check(v.verdict == GR_VERDICT_INVALID, __FILE__, line, "not INVALID");
	/* too few units never ship */
	test.crossover_units = 0;
	test.min_units = 1001;
	gr_decide_verdict(results, 2, &arm, &control, &test, &v);
	unit_check(v.verdict != GR_VERDICT_SHIP, __FILE__, line, "shipped");
}

#define EXPECT(...) expect(__LINE__, __VA_ARGS__)

static void
test_verdicts(void)
{
	EXPECT(GR_VERDICT_SHIP, GR_WON, GR_IS_SAFE, GR_BLOCK, GR_SAFE, true);
	EXPECT(GR_VERDICT_SHIP, GR_WON, GR_UNDECIDED, GR_BLOCK, GR_BREACH, true);
	EXPECT(GR_VERDICT_HOLD, GR_WON, GR_UNDECIDED, GR_BLOCK, GR_SAFE, true);
	EXPECT(GR_VERDICT_HOLD, GR_WON, GR_UNDECIDED, GR_HOLD, GR_SAFE, true);
	EXPECT(GR_VERDICT_SHIP, GR_WON, GR_UNDECIDED, GR_WARN, GR_SAFE, true);
	EXPECT(GR_VERDICT_HOLD, GR_WON, GR_UNDECIDED, GR_BLOCK, GR_POINT, true);
	EXPECT(GR_VERDICT_BLOCK, GR_WON, GR_BREACHED, GR_BLOCK, GR_BREACH, true);
	EXPECT(GR_VERDICT_BLOCK, GR_LOST, GR_BREACHED, GR_BLOCK, GR_SAFE, true);
	EXPECT(GR_VERDICT_HOLD, GR_WON, GR_BREACHED, GR_HOLD, GR_BREACH, true);
	EXPECT(GR_VERDICT_SHIP, GR_WON, GR_BREACHED, GR_WARN, GR_BREACH, true);
	EXPECT(GR_VERDICT_HOLD, GR_WON, GR_NO_DATA, GR_BLOCK, GR_BREACH, true);
	EXPECT(GR_VERDICT_HOLD, GR_WON, GR_UNMEASURED, GR_BLOCK, GR_BREACH, true);
	EXPECT(GR_VERDICT_HOLD, GR_WON, GR_UNMEASURED, GR_HOLD, GR_BREACH, true);
	EXPECT(GR_VERDICT_SHIP, GR_WON, GR_UNMEASURED, GR_WARN, GR_BREACH, true);
	EXPECT(GR_VERDICT_HOLD, GR_UNDECIDED, GR_IS_SAFE, GR_BLOCK, GR_SAFE, true);
	EXPECT(GR_VERDICT_HOLD, GR_LOST, GR_IS_SAFE, GR_BLOCK, GR_SAFE, true);
	EXPECT(GR_VERDICT_HOLD, GR_NO_DATA, GR_IS_SAFE, GR_BLOCK, GR_SAFE, true);
	EXPECT(GR_VERDICT_HOLD, GR_WON, GR_IS_SAFE, GR_BLOCK, GR_SAFE, false);
	EXPECT(GR_VERDICT_BLOCK, GR_UNDECIDED, GR_BREACHED, GR_BLOCK, GR_POINT, false);
}

/* A share is never below 0 nor above 1, whichever way harm lies and for whatever role. */
static void
test_out_of_reach(void)
{
	static const struct
	{
		GrLimitKind kind;
		double		limit;
		bool		worse_is_higher;
		double		control;
		bool		out;
	}			at[] = {
		{GR_LIMIT_RELATIVE, 5, true, 0.6, true}, {GR_LIMIT_RELATIVE, 5, true, 0.01, false},
		{GR_LIMIT_RELATIVE, 0.25, true, 0.8, true}, {GR_LIMIT_RELATIVE, 0.24, true, 0.8, false},
		{GR_LIMIT_RELATIVE, 0, true, 1, false}, {GR_LIMIT_RELATIVE, 5, true, NAN, false},
		{GR_LIMIT_RELATIVE, 0.99, false, 0.6, false}, {GR_LIMIT_RELATIVE, 1, false, 0.6, true},
		{GR_LIMIT_DIFFERENCE, 5, true, 0.1, true}, {GR_LIMIT_DIFFERENCE, 5, false, 0.1, true},
		{GR_LIMIT_DIFFERENCE, 1, true, 0.1, false}, {GR_LIMIT_ABSOLUTE, 1.5, true, 0.1, true},
		{GR_LIMIT_ABSOLUTE, 0.5, true, 0.1, false}, {GR_LIMIT_ABSOLUTE, -0.5, false, 0.1, true},
		{GR_LIMIT_SIGNIFICANCE, 0, true, 1, false}
	};

	for (int i = 0; i < (int) (sizeof(at) / sizeof(at[0])); i++)
	{
		GrRule		harm = guardrail_rule("m", at[i].kind, at[i].limit, at[i].worse_is_higher);
		GrRule		goal = primary_rule("m", at[i].kind, at[i].limit, !at[i].worse_is_higher);

		CHECK(gr_limit_out_of_reach(&harm, at[i].control) == at[i].out);
		CHECK(gr_limit_out_of_reach(&goal, at[i].control) == at[i].out);
	}
}

int
main(void)
{
	gr_stats_init();
	test_verdicts();
	test_out_of_reach();
	return unit_report();
}
