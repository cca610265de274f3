/*
 * response.c
 *	  Quadratic responses to a setting, and bands that hold at all settings.
 */
#include "response.h"

#include <math.h>
#include <string.h>

#include <gsl/gsl_multifit.h>

/* Steps of the grid that a path's length is measured on. */
#define PATH_STEPS 1000

static int
distinct_settings(const GrSetting *arms, int narms)
{
	int			n = 0;

	for (int i = 0; i < narms; i++)
	{
		bool		seen = false;

		for (int k = 0; k < i; k++)
			seen = seen || arms[k].setting == arms[i].setting;
		n += !seen;
	}
	return n;
}

/* Centre and half width of the settings; false when the fit cannot be. */
static bool
scale_settings(GrResponse *r)
{
	double		lowest = INFINITY,
				highest = -INFINITY;

	for (int i = 0; i < r->narms; i++)
	{
		const GrSetting *a = &r->arms[i];

		if (!isfinite(a->setting) || !isfinite(a->value) || !isfinite(a->variance) ||
			!(a->variance > 0))
			return false;
		lowest = fmin(lowest, a->setting);
		highest = fmax(highest, a->setting);
	}
	r->centre = lowest / 2 + highest / 2;
	r->half = highest / 2 - lowest / 2;
	return r->half > 0 && distinct_settings(r->arms, r->narms) >= GR_MIN_SETTINGS;
}

/* The regressors at a setting. */
static void
regressors(const GrResponse *r, double setting, double *x)
{
	double		u = (setting - r->centre) / r->half;

	x[0] = 1;
	x[1] = u;
	x[2] = u * u;
}

/* The fit itself into beta, cov and chisq. */
static bool
fit(GrResponse *r)
{
	size_t		n = (size_t) r->narms;
	gsl_matrix *x = gsl_matrix_alloc(n, GR_COEFFICIENTS);
	gsl_matrix *cov = gsl_matrix_alloc(GR_COEFFICIENTS, GR_COEFFICIENTS);
	gsl_vector *y = gsl_vector_alloc(n);
	gsl_vector *w = gsl_vector_alloc(n);
	gsl_vector *beta = gsl_vector_alloc(GR_COEFFICIENTS);
	gsl_multifit_linear_workspace *work = gsl_multifit_linear_alloc(n, GR_COEFFICIENTS);
	bool		ok = x && cov && y && w && beta && work;

	for (size_t i = 0; ok && i < n; i++)
	{
		double		row[GR_COEFFICIENTS];

		regressors(r, r->arms[i].setting, row);
		for (size_t k = 0; k < GR_COEFFICIENTS; k++)
			gsl_matrix_set(x, i, k, row[k]);
		gsl_vector_set(y, i, r->arms[i].value);
		gsl_vector_set(w, i, 1 / r->arms[i].variance);
	}
	ok = ok && gsl_multifit_wlinear(x, w, y, beta, cov, &r->chisq, work) == 0;
	for (size_t i = 0; ok && i < GR_COEFFICIENTS; i++)
	{
		r->beta[i] = gsl_vector_get(beta, i);
		ok = isfinite(r->beta[i]);
		for (size_t k = 0; k < GR_COEFFICIENTS; k++)
			r->cov[i][k] = gsl_matrix_get(cov, i, k);
		ok = ok && r->cov[i][i] > 0 && isfinite(r->cov[i][i]);
	}
	gsl_multifit_linear_free(work);
	gsl_vector_free(beta);
	gsl_vector_free(w);
	gsl_vector_free(y);
	gsl_matrix_free(cov);
	gsl_matrix_free(x);
	return ok;
}

GrCode
gr_response_fit(const GrSetting *arms, int narms, GrResponse *out)
{
	memset(out, 0, sizeof(*out));
	out->arms = arms;
	out->narms = narms;
	out->chisq = out->p_fit = NAN;
	if (narms < GR_MIN_SETTINGS || !scale_settings(out) || !fit(out))
		return GR_UNDEFINED;
	out->df = narms - GR_COEFFICIENTS;
	if (out->df > 0)
		out->p_fit = gr_chisq_sf(out->chisq, out->df);
	return GR_OK;
}

/* a' cov b */
static double
product(const GrResponse *r, const double *a, const double *b)
{
	double		sum = 0;

	for (int i = 0; i < GR_COEFFICIENTS; i++)
		for (int k = 0; k < GR_COEFFICIENTS; k++)
			sum += a[i] * r->cov[i][k] * b[k];
	return sum;
}

static double
value_of(const GrResponse *r, const double *a)
{
	return a[0] * r->beta[0] + a[1] * r->beta[1] + a[2] * r->beta[2];
}

double
gr_response_at(const GrResponse *r, double setting, double *se)
{
	double		x[GR_COEFFICIENTS];

	regressors(r, setting, x);
	*se = sqrt(fmax(0, product(r, x, x)));
	return value_of(r, x);
}

/* ---- constraints ---------------------------------------------------------- */

/* The linear form in the coefficients that a constraint asks of a setting. */
static void
linear_form(const GrConstraint *c, double setting, double *a)
{
	double		x[GR_COEFFICIENTS];

	regressors(&c->response, setting, a);
	if (!c->reference_fitted || c->factor == 0)
		return;
	regressors(&c->response, c->reference.setting, x);
	for (int k = 0; k < GR_COEFFICIENTS; k++)
		a[k] -= c->factor * x[k];
}

/* Variance that a reference outside the fit adds. */
static double
reference_variance(const GrConstraint *c)
{
	return c->reference_fitted || c->factor == 0 ? 0 :
		c->factor * c->factor * c->reference.variance;
}

/*
 * cov = L L' by Cholesky, so that the standardised form of a has the direction
 * L'a, with the reference's own error as one more dimension.
 */
static void
direction(const GrConstraint *c, double setting, double *out)
{
	const double (*v)[GR_COEFFICIENTS] = c->response.cov;
	double		a[GR_COEFFICIENTS];
	double		l00 = sqrt(v[0][0]);
	double		l10 = v[1][0] / l00,
				l20 = v[2][0] / l00;
	double		l11 = sqrt(fmax(0, v[1][1] - l10 * l10));
	double		l21 = l11 > 0 ? (v[2][1] - l20 * l10) / l11 : 0;
	double		l22 = sqrt(fmax(0, v[2][2] - l20 * l20 - l21 * l21));
	double		norm;

	linear_form(c, setting, a);
	out[0] = l00 * a[0] + l10 * a[1] + l20 * a[2];
	out[1] = l11 * a[1] + l21 * a[2];
	out[2] = l22 * a[2];
	out[3] = sqrt(reference_variance(c));
	norm = sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2] + out[3] * out[3]);
	for (int k = 0; k < 4; k++)
		out[k] = norm > 0 ? out[k] / norm : 0;
}

/*
 * The length of the path of directions.  Where the form passes through zero the
 * direction jumps to its opposite: the angle pi that is counted for it costs more
 * than the second path that begins there would.
 */
static double
path_length(const GrConstraint *c)
{
	double		length = 0;
	double		last[4];
	bool		begun = false;

	for (int i = 0; i <= PATH_STEPS; i++)
	{
		double		here[4];
		double		chord = 0,
					norm = 0;

		direction(c, c->response.centre + c->response.half * (2.0 * i / PATH_STEPS - 1), here);
		for (int k = 0; k < 4; k++)
		{
			chord += begun ? (here[k] - last[k]) * (here[k] - last[k]) : 0;
			norm += here[k] * here[k];
		}
		/* the very setting of the reference has no direction */
		if (norm == 0)
			continue;
		length += 2 * asin(fmin(1, sqrt(chord) / 2));
		memcpy(last, here, sizeof(last));
		begun = true;
	}
	return length;
}

/* Does the band come from the arms' own bounds? */
static bool
by_half_widths(const GrResponse *r)
{
	return !isnan(r->arms[0].half_width);
}

void
gr_constraint_prepare(GrConstraint *c)
{
	double		length,
				low = 0,
				high = 40;

	c->multiplier = NAN;
	if (by_half_widths(&c->response))
		return;
	length = path_length(c);
	for (int i = 0; i < 100; i++)
	{
		double		middle = (low + high) / 2;
		double		p = gr_normal_sf(middle) + length / (2 * M_PI) * exp(-middle * middle / 2);

		if (p > c->level)
			low = middle;
		else
			high = middle;
	}
	c->multiplier = high;
}

/* The weighted sum of half widths that a linear form lies within. */
static double
weighted_half_width(const GrResponse *r, const double *a)
{
	double		sum = 0;

	for (int i = 0; i < r->narms; i++)
	{
		double		x[GR_COEFFICIENTS];
		double		weight;

		regressors(r, r->arms[i].setting, x);
		weight = product(r, a, x) / r->arms[i].variance;
		/* no weight on an arm without bounds is no number */
		sum += weight == 0 ? 0 : fabs(weight) * r->arms[i].half_width;
	}
	return sum;
}

GrMargin
gr_constraint_at(const GrConstraint *c, double setting)
{
	const GrResponse *r = &c->response;
	double		a[GR_COEFFICIENTS];
	double		outside = c->reference_fitted ? 0 : c->factor * c->reference.value;
	double		width;
	GrMargin	m;

	linear_form(c, setting, a);
	m.estimate = c->sign * (value_of(r, a) - (c->factor == 0 ? 0 : outside) - c->offset);
	m.se = sqrt(fmax(0, product(r, a, a)) + reference_variance(c));
	if (by_half_widths(r))
		width = weighted_half_width(r, a) +
			(c->reference_fitted || c->factor == 0 ? 0 : fabs(c->factor) * c->reference.half_width);
	else
		width = c->multiplier * m.se;
	m.lower = m.estimate - width;
	m.upper = m.estimate + width;
	return m;
}
