/*
 * share_sequence.c
 *	  Shares that few units have, looked at as often as one likes.
 *
 * For a binomial share p0 and the claim that the true one lies above it, the mixture of
 * likelihood ratios over the shares above p0, weighted by Beta(1/2, 1/2), is a
 * supermartingale for every share at or below p0, since the likelihood ratio is
 * monotone; below likewise.  Where the limit is a ratio, each unit with the event is of
 * the treatment with a probability that the planned traffic and the limit give: a
 * binomial share again.  For a difference both arms' shares are in question: at each
 * share of the control the product of the two arms' e-values is one, and the least of
 * them over all shares is one whatever the true share is.
 */
#include "sample.h"

#include <math.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sf_gamma.h>

/* ln of the upper tail of Beta(a, b) beyond p; -Inf where it is lost. */
static double
log_beta_tail(double p, double a, double b)
{
	double		q = gsl_cdf_beta_Q(p, a, b);

	return q > 0.0 ? log(q) : -INFINITY;
}

/* "The share of x in n lies above p0"; -Inf: no evidence at all. */
static double
log_e_above(double x, double n, double p0)
{
	if (p0 <= 0.0)
		return x > 0.0 ? INFINITY : 0.0;
	if (p0 >= 1.0)
		return x < n ? -INFINITY : 0.0;
	return gsl_sf_lnbeta(x + 0.5, n - x + 0.5) - gsl_sf_lnbeta(0.5, 0.5) +
		log_beta_tail(p0, x + 0.5, n - x + 0.5) - log(M_2_PI * acos(sqrt(p0))) -
		x * log(p0) - (n - x) * log1p(-p0);
}

static double
log_e_beyond(double x, double n, double p0, int direction)
{
	return direction > 0 ? log_e_above(x, n, p0) : log_e_above(n - x, n, 1.0 - p0);
}

/* At the share v of the control, which its own data speak against on one side. */
static double
log_e_both(const GrSample *t, const GrSample *c, double limit, double v, int direction)
{
	return log_e_beyond(t->events, t->n, v + limit, direction) +
		log_e_beyond(c->events, c->n, v, -direction);
}

/*
 * The least over v, by golden section: one part falls with v, the other grows, both
 * between the control's share and what the treatment's gives it.
 */
static double
log_e_difference(const GrSample *t, const GrSample *c, double limit, int direction)
{
	const double golden = 0.3819660112501051;
	double		of_c = fmin(fmax(c->events / c->n, fmax(0.0, -limit)), fmin(1.0, 1.0 - limit));
	double		of_t = fmin(fmax(t->events / t->n - limit, fmax(0.0, -limit)), fmin(1.0, 1.0 - limit));
	double		low = fmin(of_c, of_t),
				high = fmax(of_c, of_t);
	double		least = fmin(log_e_both(t, c, limit, low, direction), log_e_both(t, c, limit, high, direction));

	/* not beyond the limit: no evidence, and how little of it does not matter */
	if (direction * (of_t - of_c) <= 0.0)
		return fmin(least, 0.0);
	for (int i = 0; i < 24 && low < high; i++)
	{
		double		a = low + golden * (high - low),
					b = high - golden * (high - low);
		double		ea = log_e_both(t, c, limit, a, direction),
					eb = log_e_both(t, c, limit, b, direction);

		least = fmin(least, fmin(ea, eb));
		if (ea <= eb)
			high = b;
		else
			low = a;
	}
	return least;
}

double
gr_share_log_e(GrContrastKind kind, const GrSample *t, const GrSample *c, double limit, int direction)
{
	double		ratio = kind == GR_RELATIVE ? 1.0 + limit : 1.0;
	double		log_e;

	if (kind == GR_ABSOLUTE)
		log_e = log_e_beyond(t->events, t->n, limit, direction);
	else if (kind == GR_RELATIVE || limit == 0.0)
		log_e = log_e_beyond(t->events, t->events + c->events,
							 t->traffic * ratio / (t->traffic * ratio + c->traffic), direction);
	else
		log_e = log_e_difference(t, c, limit, direction);
	/* what is lost in the numerics is no evidence */
	return isnan(log_e) ? -INFINITY : log_e;
}
