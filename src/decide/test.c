/*
 * test.c
 *	  Evidence under a monitoring design.
 *
 * z goes to the design (design.c) as it is; one that reads degrees of freedom takes Welch's.
 * Shares where evidence is an e-value: an average of two e-values is one, and so half the weight
 * is on the mixture for shares that few units have (share_sequence.c), which is valid
 * at any count, and half on the normal mixture, which speaks only from thirty expected
 * events on and finds more there.
 */
#include "decide/design.h"
#include "decide/test.h"

#include <math.h>

/* Events expected at the limit from which z is normal enough to be looked at often. */
#define ENOUGH_EVENTS 30.0

static bool
is_share_sequence(const GrMonitor *m, const GrTested *x)
{
	return gr_design_of(m->kind)->log_e && x->treatment->kind == GR_SAMPLE_SHARE &&
		(x->kind == GR_ABSOLUTE || x->control->kind == GR_SAMPLE_SHARE);
}

static GrCode
evidence(const GrTested *x, double limit, int direction, GrSaid *e)
{
	return gr_evidence(x->kind, x->treatment, x->control, limit, direction, e);
}

/* ln(exp(a) + exp(b)) - ln 2 */
static double
log_average(double a, double b)
{
	double		larger = fmax(a, b);

	if (isinf(larger))
		return larger;
	return larger + log1p(exp(fmin(a, b) - larger)) - M_LN2;
}

/* ln of the e-value of shares in one direction; alpha: the level it is tuned to. */
static double
share_log_e(const GrMonitor *m, const GrTested *x, double limit, int direction, double alpha)
{
	GrOccasion	at = {.n = x->at.n,.alpha = alpha};
	GrSaid		e;
	double		normal = 0.0;

	if (evidence(x, limit, direction, &e) != GR_OK)
		return NAN;
	if (e.expected >= ENOUGH_EVENTS)
		normal = gr_design_of(m->kind)->log_e(m, GR_TEST_BREACH, e.z, &at);
	normal = log_average(gr_share_log_e(x->kind, x->treatment, x->control, limit, direction), normal);
	/* where the arms are not split as planned: an estimate on the other side is no evidence */
	return e.z > 0.0 ? normal : fmin(normal, 0.0);
}

/* The p-value of shares; a goal's is twice that of the better direction. */
static double
share_p(const GrMonitor *m, GrTestKind kind, const GrTested *x, double limit, int direction, int *favours)
{
	double		alpha = kind == GR_TEST_GOAL ? x->at.alpha / 2 : x->at.alpha;
	double		log_e = share_log_e(m, x, limit, direction, alpha);

	if (favours)
		*favours = direction;
	if (kind == GR_TEST_GOAL)
	{
		double		other = share_log_e(m, x, limit, -direction, alpha);

		if (favours && other > log_e)
			*favours = -direction;
		log_e = fmax(log_e, other) - M_LN2;
	}
	return fmin(1.0, exp(-log_e));
}

double
gr_test_log_e(const GrMonitor *m, const GrTested *x, double limit, int direction)
{
	GrSaid		e;

	if (gr_design_of(m->kind)->log_e == NULL)
		return NAN;
	if (is_share_sequence(m, x))
		return share_log_e(m, x, limit, direction, x->at.alpha);
	if (evidence(x, limit, direction, &e) != GR_OK)
		return NAN;
	return gr_design_of(m->kind)->log_e(m, GR_TEST_BREACH, e.z, &x->at);
}

double
gr_test_p(GrMonitor *m, GrTestKind kind, const GrTested *x, double limit,
		  int direction, int *favours)
{
	GrOccasion	at = x->at;
	GrSaid		e,
				other;

	if (evidence(x, limit, direction, &e) != GR_OK)
		return NAN;
	if (is_share_sequence(m, x))
		return share_p(m, kind, x, limit, direction, favours);
	if (favours)
		*favours = direction;
	if (kind == GR_TEST_GOAL)
	{
		if (evidence(x, limit, -direction, &other) != GR_OK)
			return NAN;
		if (other.z > e.z)
		{
			e = other;
			if (favours)
				*favours = -direction;
		}
		e.z = fmax(e.z, 0.0);
	}
	at.df = e.df;
	return gr_monitor_p(m, kind, e.z, &at);
}

/* ---- bounds ------------------------------------------------------------------------- */

typedef struct Excess
{
	GrMonitor  *m;
	GrTestKind	kind;
	const GrTested *x;
	double		level;
	int			direction;
	double		multiplier;		/* where it is the same for all limits */
} Excess;

/* How far the evidence at a limit is beyond what the level asks; a share's as ln e. */
static double
excess_at(void *arg, double limit)
{
	const Excess *s = arg;
	GrOccasion	at = s->x->at;
	GrSaid		e;

	if (evidence(s->x, limit, s->direction, &e) != GR_OK)
		return NAN;
	if (is_share_sequence(s->m, s->x))
	{
		double		sides = s->kind == GR_TEST_GOAL ? 2.0 : 1.0;

		return share_log_e(s->m, s->x, limit, s->direction, at.alpha / sides) + log(s->level / sides);
	}
	if (!gr_design_of(s->m->kind)->reads_df)
		return e.z - s->multiplier;
	at.df = e.df;
	return e.z - gr_monitor_multiplier(s->m, s->kind, s->level, &at);
}

double
gr_test_bound(GrMonitor *m, GrTestKind kind, const GrTested *x, double level,
			  int direction, double hint)
{
	Excess		s = {m, kind, x, level, direction, NAN};
	double		none = direction > 0 ? -INFINITY : INFINITY;

	if (!(level > 0.0 && level < 1.0))
		return none;
	if (!gr_design_of(m->kind)->reads_df)
	{
		s.multiplier = gr_monitor_multiplier(m, kind, level, &x->at);
		if (!isfinite(s.multiplier))
			return none;
	}
	return gr_evidence_bound(x->kind, x->treatment, x->control, direction, hint, excess_at, &s);
}
