/*
 * share.c
 *	  Shares of units: the score with the variance and the third moment that the limit
 *	  gives, and exact tails where few units are expected to have the event.
 *
 * The restricted estimates are those of largest likelihood at the limit: Miettinen and
 * Nurminen (1985), in closed form by Farrington and Manning (1990), for a difference;
 * Koopman (1984) for a ratio.  The score's lower tail promises too much where fewer
 * than ten events are expected in an arm: there the claim that they are few is exact,
 * conditional on the units with the event where the limit is a ratio (Przyborowski and
 * Wilenski 1940), else by the limits of Clopper and Pearson (1934) for either arm at
 * half the level.  That units without the event are few is the same claim of the others.
 */
#include "sample.h"

#include <math.h>

#include <gsl/gsl_cdf.h>

/* Fewer units expected than this and the tail is exact. */
#define FEW 10.0

/* ---- binomial tails -------------------------------------------------------------- */

/* P(at most x of n); the normal tail where the exact one does not settle. */
static double
at_most(double x, double n, double p)
{
	double		tail;

	if (x >= n || p <= 0.0)
		return 1.0;
	if (x < 0.0 || p >= 1.0)
		return 0.0;
	tail = gsl_cdf_beta_Q(p, x + 1.0, n - x);
	if (isfinite(tail))
		return fmin(tail, 1.0);
	return gr_normal_cdf((x + 0.5 - n * p) / sqrt(n * p * (1.0 - p)));
}

static double
at_least(double x, double n, double p)
{
	return at_most(n - x, n, 1.0 - p);
}

/* ---- restricted estimates ---------------------------------------------------------- */

static void
restricted_difference(double n_t, double p_t, double n_c, double p_c, double limit,
					  double *out_t, double *out_c)
{
	double		theta = n_c / n_t;
	double		a = 1.0 + theta;
	double		b = -(1.0 + theta + p_t + theta * p_c + limit * (theta + 2.0));
	double		c = limit * limit + limit * (2.0 * p_t + theta + 1.0) + p_t + theta * p_c;
	double		d = -p_t * limit * (1.0 + limit);
	double		third = b / (3.0 * a);
	double		v = third * third * third - b * c / (6.0 * a * a) + d / (2.0 * a);
	double		u = copysign(sqrt(fmax(third * third - c / (3.0 * a), 0.0)), v);
	double		w = u == 0.0 ? 0.0 : fmin(fmax(v / (u * u * u), -1.0), 1.0);
	double		root = 2.0 * u * cos((M_PI + acos(w)) / 3.0) - third;

	*out_t = fmin(fmax(root, fmax(0.0, limit)), fmin(1.0, 1.0 + limit));
	*out_c = *out_t - limit;
}

static void
restricted_ratio(double n_t, double x_t, double n_c, double x_c, double ratio,
				 double *out_t, double *out_c)
{
	double		a = (n_t + n_c) * ratio;
	double		b = ratio * (n_t + x_c) + x_t + n_c;
	double		c = x_t + x_c;

	*out_c = fmin(2.0 * c / (b + sqrt(fmax(b * b - 4.0 * a * c, 0.0))), 1.0);
	if (ratio * *out_c > 1.0)
		*out_c = 1.0 / ratio;
	*out_t = ratio * *out_c;
}

/* One arm's part of the variance and of the third moment. */
static void
add_moments(double p, double n, double scale, double *variance, double *third)
{
	double		v = p * (1.0 - p) / n * scale * scale;

	*variance += v;
	*third += v * (1.0 - 2.0 * p) / n * scale;
}

static double
score_of(GrContrastKind kind, double n_t, double x_t, double n_c, double x_c, double limit,
		 double *p_t, double *p_c, double *skew)
{
	double		ratio = kind == GR_RELATIVE ? 1.0 + limit : 1.0;
	double		d = x_t / n_t - (kind == GR_ABSOLUTE ? limit : ratio * x_c / n_c) -
		(kind == GR_DIFFERENCE ? limit : 0.0);
	double		variance = 0.0,
				third = 0.0;

	*p_t = limit;
	*p_c = NAN;
	if (kind == GR_DIFFERENCE)
		restricted_difference(n_t, x_t / n_t, n_c, x_c / n_c, limit, p_t, p_c);
	else if (kind == GR_RELATIVE)
		restricted_ratio(n_t, x_t, n_c, x_c, ratio, p_t, p_c);
	add_moments(*p_t, n_t, 1.0, &variance, &third);
	if (kind != GR_ABSOLUTE)
		add_moments(*p_c, n_c, -ratio, &variance, &third);
	*skew = third / (variance * sqrt(variance));
	if (d == 0.0)
		return 0.0;
	/* no variance at the limit: what was seen cannot be where it holds */
	return variance > 0.0 ? d / sqrt(variance) : copysign(GR_MOST_Z, d);
}

double
gr_share_score(GrContrastKind kind, double n_t, double x_t, double n_c, double x_c,
			   double limit, double *p_t, double *p_c)
{
	double		skew;

	return score_of(kind, n_t, x_t, n_c, x_c, limit, p_t, p_c, &skew);
}

/* ---- exact tails --------------------------------------------------------------------- */

/*
 * "The share of the treatment lies beyond ratio v + limit in the direction", by either
 * arm's limit at half the level: the level is twice the larger of the two tails, at the
 * share v of the control where they are equal.
 */
static double
two_arms_p(const GrSample *t, const GrSample *c, double ratio, double limit, int direction)
{
	double		low = ratio > 0.0 ? fmax(0.0, -limit / ratio) : 0.0;
	double		high = ratio > 0.0 ? fmin(1.0, (1.0 - limit) / ratio) : 1.0;
	double		best = 1.0;

	/* that a share is at least 0, or at most 1, is certain */
	if (direction < 0 && low == 0.0)
		best = fmin(best, 2.0 * at_most(t->events, t->n, limit));
	if (direction > 0 && high == 1.0)
		best = fmin(best, 2.0 * at_least(t->events, t->n, ratio + limit));
	for (int i = 0; i < 60 && low < high; i++)
	{
		double		v = 0.5 * (low + high);
		double		share = ratio * v + limit;
		double		of_t = direction > 0 ? at_least(t->events, t->n, share) : at_most(t->events, t->n, share);
		double		of_c = direction > 0 ? at_most(c->events, c->n, v) : at_least(c->events, c->n, v);

		best = fmin(best, 2.0 * fmax(of_t, of_c));
		/* upwards, the treatment's tail grows with v and the control's falls */
		if ((of_t > of_c) == (direction > 0))
			high = v;
		else
			low = v;
	}
	return best;
}

static double
exact_p(GrContrastKind kind, const GrSample *t, const GrSample *c, double limit, int direction)
{
	double		ratio = kind == GR_RELATIVE ? 1.0 + limit : 1.0;
	double		d = kind == GR_DIFFERENCE ? limit : 0.0;
	double		k,
				part;

	if (kind == GR_ABSOLUTE)
		return direction > 0 ? at_least(t->events, t->n, limit) : at_most(t->events, t->n, limit);
	/* few events in the treatment, of those of both arms */
	if (direction < 0 && d == 0.0)
	{
		k = t->events + c->events;
		part = t->n * ratio / (t->n * ratio + c->n);
		return at_most(t->events, k, part);
	}
	/* units without the event are in the same relation only where the limit is 1 */
	if (direction > 0 && d == 0.0 && ratio == 1.0)
	{
		k = t->n + c->n - t->events - c->events;
		return at_most(t->n - t->events, k, t->n / (t->n + c->n));
	}
	return two_arms_p(t, c, ratio, d, direction);
}

GrCode
gr_share_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c,
				  double limit, int direction, GrSaid *out)
{
	double		p_t,
				p_c,
				s,
				events,
				others;

	if ((kind == GR_ABSOLUTE && (limit < 0.0 || limit > 1.0)) || (kind == GR_DIFFERENCE && fabs(limit) >= 1.0))
	{
		/* no share, and no difference of shares, is beyond such a limit */
		out->z = (limit < 0.0) == (direction > 0) ? GR_MOST_Z : -GR_MOST_Z;
		out->df = INFINITY;
		return GR_OK;
	}
	s = score_of(kind, t->n, t->events, c ? c->n : NAN, c ? c->events : NAN, limit, &p_t, &p_c, &out->skew);
	if (!isfinite(out->skew))
		out->skew = 0.0;
	out->z = direction * gr_gamma_z(s, out->skew);
	out->df = INFINITY;
	events = t->n * p_t;
	others = t->n - events;
	if (kind != GR_ABSOLUTE)
	{
		events = fmin(events, c->n * p_c);
		others = fmin(others, c->n * (1.0 - p_c));
	}
	out->expected = fmin(events, others);
	/* the claim that they are few */
	if ((direction < 0 ? events : others) < FEW)
		out->z = gr_z_of_log_p(log(exact_p(kind, t, c, limit, direction)));
	return isnan(out->z) ? GR_UNDEFINED : GR_OK;
}

/* ---- what could be found ----------------------------------------------------------------- */

/*
 * Is the level reached when all of k units are where they are evidence: those with the
 * event in the arm of the direction, or those without it in the other?
 */
static bool
reaches(GrContrastKind kind, const GrSample *t, const GrSample *c, double k, bool without,
		double limit, int direction, double level)
{
	GrSample	in_t = *t,
				in_c = *c;
	GrSaid		e = {0};
	double		events = without ? t->n + c->n - k : k;

	in_t.events = direction > 0 ? fmin(events, t->n) : fmax(0.0, events - c->n);
	in_c.events = events - in_t.events;
	in_t.estimate.value = in_t.events / in_t.n;
	in_c.estimate.value = in_c.events / in_c.n;
	return gr_share_evidence(kind, &in_t, &in_c, limit, direction, &e) == GR_OK &&
		gr_normal_sf(e.z) <= level;
}

double
gr_share_needs(GrContrastKind kind, const GrSample *t, const GrSample *c,
			   double limit, int direction, double level, bool *without)
{
	double		none,
				enough,
				most;

	*without = false;
	if (kind == GR_ABSOLUTE)
	{
		/* all of the units, or none of them */
		none = direction > 0 ? at_least(t->n, t->n, limit) : at_most(0, t->n, limit);
		return none <= level ? 0.0 : NAN;
	}
	none = t->events + c->events;
	if (reaches(kind, t, c, none, false, limit, direction, level))
		return 0.0;
	if (none > 0.5 * (t->n + c->n))
	{
		*without = true;
		none = t->n + c->n - none;
	}
	most = (direction > 0) == *without ? c->n : t->n;
	for (enough = fmin(most, fmax(1.0, 2.0 * none));
		 !reaches(kind, t, c, enough, *without, limit, direction, level);
		 enough = fmin(most, 2.0 * enough))
	{
		if (enough >= most)
			return NAN;
		none = enough;
	}
	while (enough - none > 1.0)
	{
		double		k = floor(0.5 * (none + enough));

		if (reaches(kind, t, c, k, *without, limit, direction, level))
			enough = k;
		else
			none = k;
	}
	return enough;
}
