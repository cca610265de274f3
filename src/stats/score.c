/*
 * score.c
 *	  Means and ratios: Hall's statistic and the pooled score, the larger p of both.
 *
 * With R = 1 + limit for a relative limit and 1 else, D the limit of a difference, d =
 * m_t - R m_c - D.  Hall (1992, J. R. Statist. Soc. B 54): T = d/sqrt(V), V the sum of
 * the arms' own variances, g its skewness, T + g T^2/3 + g^2 T^3/27 + g/6.  The score
 * has the variance and the third moment of both arms pooled, the control's scaled by
 * R, and reads its tail off the gamma distribution with that skewness (Pearson III).
 * A ratio's score takes the residuals e = x - r y at the limit, with the ratio r that
 * both arms have in common there, so that no single unit hides in its arm's own ratio.
 */
#include "sample.h"

#include <math.h>

#include <gsl/gsl_sf_gamma.h>

/* ---- residuals at the limit ------------------------------------------------- */

/*
 * One arm's residuals scale * (e + shift * y): their mean, and the sums of their
 * squares and cubes that the score takes: of a mean around the arm's own, of a ratio
 * around zero.
 */
typedef struct Residuals
{
	double		mean;
	double		square;
	double		cube;
	double		heaviest;		/* the largest unit's square */
} Residuals;

static Residuals
residuals(const GrSample *s, double shift, double scale)
{
	Residuals	r = {0.0, s->square[0], s->cube[0], NAN};
	double		mean = s->denominator;
	double		a = shift;

	if (s->kind == GR_SAMPLE_RATIO)
	{
		double		yy = s->square[2] + s->n * mean * mean;

		r.mean = a * mean;
		r.square += 2.0 * a * s->square[1] + a * a * yy;
		r.cube += 3.0 * a * (s->cube[1] + mean * s->square[0]) +
			3.0 * a * a * (s->cube[2] + 2.0 * mean * s->square[1]) +
			a * a * a * (s->cube[3] + 3.0 * mean * s->square[2] + s->n * mean * mean * mean);
	}
	for (int i = 0; i < s->nlargest; i++)
	{
		double		e = s->largest[i][0] + (s->kind == GR_SAMPLE_RATIO ? a * s->largest[i][1] : 0.0);

		r.heaviest = fmax(r.heaviest, scale * scale * e * e);
	}
	r.mean *= scale;
	r.square = fmax(r.square, 0.0) * scale * scale;
	r.cube *= scale * scale * scale;
	return r;
}

/* What the score of both arms is made of at a limit. */
typedef struct Score
{
	double		d;
	double		square;
	double		cube;
	double		heaviest;
	double		n;
} Score;

static Score
score_at(GrContrastKind kind, const GrSample *t, const GrSample *c, double ratio, double d)
{
	Residuals	rt,
				rc;
	double		yt = t->n * t->denominator,
				yc,
				whole;

	if (kind == GR_ABSOLUTE)
	{
		rt = residuals(t, d, 1.0);
		return (Score) {t->kind == GR_SAMPLE_RATIO ? rt.mean : d, rt.square, rt.cube, rt.heaviest, t->n};
	}
	yc = c->n * c->denominator;
	whole = ratio * yt + yc;
	rt = residuals(t, yc / whole * d, 1.0);
	rc = residuals(c, -yt / whole * d, ratio);
	return (Score) {t->kind == GR_SAMPLE_RATIO ? rt.mean - rc.mean : d, rt.square + rc.square,
	rt.cube + rc.cube, fmax(rt.heaviest, rc.heaviest), t->n + c->n};
}

/*
 * z in the tail of the direction.  In the thin tail of a strong skewness the gamma
 * ends, and what was estimated of the skewness decides where: there the normal tail,
 * which is heavier, is the one believed.
 */
static double
score_z(GrContrastKind kind, const GrSample *t, const GrSample *c, const Score *s, int direction, double *skew)
{
	bool		alone = kind == GR_ABSOLUTE;
	/* a mean's squares are around two means, or one */
	double		freedom = t->kind == GR_SAMPLE_RATIO ? s->n : s->n - (alone ? 1.0 : 2.0);
	double		square = s->square / freedom;
	double		v = square / t->n + (alone ? 0.0 : square / c->n);
	double		g = s->cube / s->n * (1.0 / t->n / t->n - (alone ? 0.0 : 1.0 / c->n / c->n)) / (v * sqrt(v));
	double		z;

	*skew = isfinite(g) ? g : 0.0;
	z = gr_gamma_z(s->d / sqrt(v), *skew);
	if (direction * *skew < -GR_MOST_SKEW)
	{
		double		plain = gr_clamp_z(s->d / sqrt(v));

		z = direction > 0 ? fmin(z, plain) : fmax(z, plain);
	}
	return z;
}

/* ---- Hall's statistic --------------------------------------------------------- */

/* Variance and third moment of an arm's estimate. */
static void
own_moments(const GrSample *s, double scale, double *variance, double *third)
{
	double		y = scale / s->denominator;

	*variance = s->square[0] / (s->n - 1.0) / s->n * y * y;
	*third = s->cube[0] / s->n / s->n / s->n * y * y * y;
}

static double
hall_z(GrContrastKind kind, const GrSample *t, const GrSample *c, double ratio, double d, double *df)
{
	double		vt,
				vc = 0.0,
				kt,
				kc = 0.0,
				v,
				z,
				g;

	own_moments(t, 1.0, &vt, &kt);
	if (kind != GR_ABSOLUTE)
		own_moments(c, ratio, &vc, &kc);
	v = vt + vc;
	z = d / sqrt(v);
	g = (kt - kc) / (v * sqrt(v));
	*df = kind == GR_ABSOLUTE ? t->n - 1.0 : gr_satterthwaite(vt, t->n - 1.0, vc, c->n - 1.0);
	if (!isfinite(g))
		g = 0.0;
	return gr_clamp_z(z + g * z * z / 3.0 + g * g * z * z * z / 27.0 + g / 6.0);
}

/* ---- arms without variation ---------------------------------------------------- */

/*
 * All of n on one side of all of m: of the orders that are alike when the limit holds,
 * one in (n + m over n) looks so.  One arm against a number: one in 2^n.
 */
static GrCode
constant_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c, double d,
				  int direction, GrSaid *out)
{
	double		log_p = kind == GR_ABSOLUTE ? -t->n * M_LN2 :
		gsl_sf_lngamma(t->n + 1.0) + gsl_sf_lngamma(c->n + 1.0) - gsl_sf_lngamma(t->n + c->n + 1.0);
	double		z = gr_z_of_log_p(log_p);

	if (d == 0.0 || isnan(z))
		return GR_UNDEFINED;
	out->z = (d > 0.0) == (direction > 0) ? z : -z;
	out->df = INFINITY;
	out->skew = 0.0;
	return GR_OK;
}

/*
 * Of a ratio also at the ratio that both arms have in common: where the limit alone
 * makes residuals, nothing was seen of the numerator.
 */
static double
heaviest_part(GrContrastKind kind, const GrSample *t, const GrSample *c, const Score *s)
{
	double		part = s->heaviest / s->square;
	Score		common;

	if (t->kind != GR_SAMPLE_RATIO || isnan(s->heaviest))
		return part;
	common = score_at(kind, t, c, 1.0, kind == GR_ABSOLUTE ? 0.0 : t->estimate.value - c->estimate.value);
	return common.square > 0.0 ? fmax(part, common.heaviest / common.square) : 1.0;
}

GrCode
gr_score_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c,
				  double limit, int direction, GrSaid *out)
{
	double		ratio = kind == GR_RELATIVE ? 1.0 + limit : 1.0;
	double		d = gr_beyond(kind, t, c, limit);
	Score		s = score_at(kind, t, c, ratio, d);
	double		hall,
				score;

	if (!(t->n >= 2.0) || (kind != GR_ABSOLUTE && !(c->n >= 2.0)) || !isfinite(s.square))
		return GR_UNDEFINED;
	if (s.square == 0.0)
		return constant_evidence(kind, t, c, d, direction, out);
	hall = hall_z(kind, t, c, ratio, d, &out->df);
	score = score_z(kind, t, c, &s, direction, &out->skew);
	/* a ratio of no variation around its own value: the score alone */
	if (isnan(hall) || isnan(out->df))
	{
		hall = score;
		out->df = INFINITY;
	}
	out->z = direction > 0 ? fmin(hall, score) : -fmax(hall, score);
	out->heaviest = heaviest_part(kind, t, c, &s);
	return isnan(out->z) ? GR_UNDEFINED : GR_OK;
}
