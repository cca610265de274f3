/*
 * dist.c
 *	  Normal, Student and chi-square tails and quantiles.
 *
 * Tails are computed as tails, never as 1 - cdf, so that p-values keep their
 * relative precision.  GSL's Student tail switches to a Cornish-Fisher series
 * above 30 degrees of freedom and loses digits there, so the incomplete beta
 * function is evaluated here for the case b = 1/2 that Student's needs.
 */
#include "numeric/numeric.h"

#include <float.h>
#include <math.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_sf_gamma.h>

#define HALF_LN_2PI 0.91893853320467274178
#define SQRT_PI 1.77245385090551602730

/* Above this many degrees of freedom Student's is the normal to 1e-16. */
#define T_IS_NORMAL 1e25

/* Below this many every finite t has a tail of 1/2. */
#define LEAST_DF 1e-100

void
gr_stats_init(void)
{
	gsl_set_error_handler_off();
}

/* ---- normal ------------------------------------------------------------ */

double
gr_normal_cdf(double z)
{
	return 0.5 * erfc(-z * M_SQRT1_2);
}

double
gr_normal_sf(double z)
{
	return 0.5 * erfc(z * M_SQRT1_2);
}

double
gr_normal_isf(double q)
{
	double		z;

	if (!(q >= 0.0 && q <= 1.0))
		return NAN;
	if (q == 0.0)
		return INFINITY;
	if (q > 0.5)
		return -gr_normal_isf(1.0 - q);

	z = gsl_cdf_ugaussian_Qinv(q);
	if (q > DBL_MIN)
	{
		/* one Newton step on ln sf, whose slope is -density/sf */
		double		sf = gr_normal_sf(z);
		double		density = exp(-0.5 * z * z - HALF_LN_2PI);

		if (sf > 0.0 && density > 0.0)
			z += log(sf / q) * sf / density;
	}
	return z;
}

/*
 * ln(exp(z^2/2) Phi(z)).  Below -5 by the continued fraction of Mills' ratio
 * (Abramowitz and Stegun 26.2.14), which has converged there in 80 terms.
 */
double
gr_log_normal_cdf_scaled(double z)
{
	double		x = -z;
	double		tail;

	if (isnan(z))
		return NAN;
	if (z > 0.0)
		return 0.5 * z * z + log1p(-gr_normal_sf(z));
	if (z >= -5.0)
		return 0.5 * z * z + log(gr_normal_cdf(z));

	tail = x;
	for (int k = 80; k >= 1; k--)
		tail = x + k / tail;
	return -log(tail) - HALF_LN_2PI;
}

double
gr_log_normal_cdf(double z)
{
	if (z > 0.0)
		return log1p(-gr_normal_sf(z));
	if (z >= -5.0)
		return log(gr_normal_cdf(z));
	return gr_log_normal_cdf_scaled(z) - 0.5 * z * z;
}

/* ---- Student's t -------------------------------------------------------- */

/*
 * Gamma(a + 1/2) / Gamma(a).  With w = a - 1/4 the logarithm has an expansion
 * in even powers of 1/w alone, from DLMF 5.11.8 and Euler numbers; smaller a
 * are carried up by the recurrence.
 */
static double
gamma_half_ratio(double a)
{
	double		factor = 1.0;
	double		w;
	double		v;

	while (a < 20.0)
	{
		factor *= a / (a + 0.5);
		a += 1.0;
	}
	w = a - 0.25;
	v = (1.0 / w) / w;
	return factor * sqrt(w) *
		exp(v * (1.0 / 64.0 +
				 v * (-5.0 / 2048.0 +
					  v * (61.0 / 49152.0 -
						   v * (1385.0 / 1048576.0)))));
}

/* What both forms of the tail share. */
typedef struct StudentParts
{
	double		a;				/* df / 2 */
	double		x;				/* df / (df + t^2) */
	double		y;				/* t^2 / (df + t^2) */
	double		power;			/* a ln x */
	double		scale;			/* sqrt(y) / B(a, 1/2) */
} StudentParts;

static void
student_parts(double t, double df, StudentParts *s)
{
	double		w;

	df = fmax(df, LEAST_DF);
	w = t < 1e150 ? t * t / df : (t / df) * t;
	s->a = 0.5 * df;
	s->x = 1.0 / (1.0 + w);
	s->y = isinf(w) ? 1.0 : w / (1.0 + w);
	if (w > DBL_MAX)
		s->power = -s->a * (2.0 * log(t) - log(df));
	else
		s->power = -s->a * log1p(w);
	s->scale = sqrt(s->y) * gamma_half_ratio(s->a) / SQRT_PI;
}

/*
 * I_x(a, 1/2) / (x^a y^(1/2) / B): the continued fraction of DiDonato and
 * Morris (1992), equation 9, by Lentz' method.  Its terms have no
 * cancellation for x near 1, where a is large.
 */
static double
student_fraction(const StudentParts *s)
{
	const double tiny = 1e-300;
	double		a = s->a;
	double		x = s->x;
	double		lambda = a * s->y - 0.5 * x + 1.0;
	double		f = a / (a + 1.0) * lambda;
	double		c;
	double		d = 0.0;

	if (f == 0.0)
		f = tiny;
	c = f;
	for (int m = 1; m < 10000; m++)
	{
		double		even = a + 2.0 * m - 1.0;
		double		an = (a + m - 1.0) / even * ((a + m - 0.5) / even)
			* m * (0.5 - m) * x * x;
		double		bn = m + m * (0.5 - m) * x / even
			+ (a + m) / (a + 2.0 * m + 1.0) * (lambda + m * (2.0 - x));
		double		delta;

		d = bn + an * d;
		if (d == 0.0)
			d = tiny;
		d = 1.0 / d;
		c = bn + an / c;
		if (c == 0.0)
			c = tiny;
		delta = c * d;
		f *= delta;
		if (fabs(delta - 1.0) < DBL_EPSILON)
			return 1.0 / f;
	}
	return NAN;
}

/* Is the series around zero the right one?  (About t^2 < 3.) */
static bool
student_is_central(const StudentParts *s)
{
	return s->y <= 1.5 / (s->a + 2.5);
}

/* P(0 < T < t) by the power series of I_y(1/2, a), whose terms are positive. */
static double
student_central(const StudentParts *s)
{
	double		term = 1.0;
	double		sum = 1.0;

	for (int n = 0; n < 1000 && term > DBL_EPSILON * 0.01 * sum; n++)
	{
		term *= (s->a + 0.5 + n) / (1.5 + n) * s->y;
		sum += term;
	}
	return s->scale * exp(s->power) * sum;
}

/* Upper tail for t >= 0. */
static double
student_upper(double t, double df)
{
	StudentParts s;
	double		tail;

	student_parts(t, df, &s);
	if (student_is_central(&s))
		return 0.5 - student_central(&s);
	tail = 0.5 * s.scale * student_fraction(&s) * exp(s.power);
	return tail > 0.5 ? 0.5 : tail;
}

double
gr_t_sf(double t, double df)
{
	if (isnan(t) || !(df > 0.0))
		return NAN;
	if (isinf(t))
		return t > 0.0 ? 0.0 : 1.0;
	if (df > T_IS_NORMAL)
		return gr_normal_sf(t);
	if (t < 0.0)
		return 1.0 - student_upper(-t, df);
	return student_upper(t, df);
}

double
gr_t_cdf(double t, double df)
{
	return gr_t_sf(-t, df);
}

/*
 * ln P(T > t), or ln P(0 < T < t) when "central", and its slope in ln t.
 */
static double
student_log(double t, double df, bool central, double *slope)
{
	StudentParts s;
	double		value;
	double		log_density;

	student_parts(t, df, &s);
	if (student_is_central(&s))
	{
		double		inner = student_central(&s);

		value = log(central ? inner : fmax(0.5 - inner, 0.0));
	}
	else
	{
		double		factor = 0.5 * s.scale * student_fraction(&s);

		value = s.power + log(factor);
		if (central)
			value = log(fmax(0.5 - exp(value), 0.0));
	}

	/* t times the density is x^a sqrt(y) / B */
	log_density = s.power + log(s.scale);
	*slope = exp(log_density - value);
	if (!central)
		*slope = -*slope;
	return value;
}

/*
 * The quantile by Newton's method on the logarithm of the tail against ln t,
 * which is concave and, for heavy tails, nearly a line; bisection takes over
 * whenever a step leaves the bracket.  Near the median the probability of
 * (0, t) takes the tail's place, so that no digits cancel.
 */
double
gr_t_isf(double q, double df)
{
	double		lo = log(DBL_MIN);
	double		hi = log(DBL_MAX) - 1e-12;
	bool		central;
	double		target;
	double		slope;
	double		u;

	if (!(q >= 0.0 && q <= 1.0) || !(df > 0.0))
		return NAN;
	if (df > T_IS_NORMAL)
		return gr_normal_isf(q);
	if (q == 0.0)
		return INFINITY;
	if (q == 0.5)
		return 0.0;
	if (q > 0.5)
		return -gr_t_isf(1.0 - q, df);

	central = q > 0.25;
	target = log(central ? 0.5 - q : q);
	u = student_log(exp(hi), df, central, &slope);
	if (isnan(u))
		return NAN;
	if (central ? u < target : u > target)
		return INFINITY;

	u = log(gr_normal_isf(q));
	for (int i = 0; i < 200; i++)
	{
		double		value = student_log(exp(u), df, central, &slope);
		double		next;

		if (isnan(value))
			return NAN;
		if (central ? value < target : value > target)
			lo = u;
		else
			hi = u;
		next = u - (value - target) / slope;
		if (!(next > lo && next < hi))
		{
			if (fabs(next - u) <= 2.0 * DBL_EPSILON)
				break;
			next = 0.5 * (lo + hi);
		}
		if (fabs(next - u) <= DBL_EPSILON * fmax(1.0, fabs(u)))
		{
			u = next;
			break;
		}
		u = next;
	}
	return exp(u);
}

/* ---- chi-square --------------------------------------------------------- */

double
gr_chisq_sf(double x, double df)
{
	gsl_sf_result r;
	int			status;

	if (isnan(x) || x < 0.0 || !(df > 0.0) || isinf(df))
		return NAN;
	if (x == 0.0)
		return 1.0;
	if (isinf(x))
		return 0.0;
	status = gsl_sf_gamma_inc_Q_e(0.5 * df, 0.5 * x, &r);
	if (status == GSL_EUNDRFLW)
		return 0.0;
	if (status != GSL_SUCCESS)
		return NAN;
	return fmin(fmax(r.val, 0.0), 1.0);
}
