/*
 * panel.h
 *	  The quadrature beneath look.c; nothing else needs it.
 */
#ifndef GR_PANEL_H
#define GR_PANEL_H

#include "stats.h"

#define NODES GR_PANEL_POINTS

/* The quadrature rule, and what interpolation and its check need. */
typedef struct Rule
{
	double		node[NODES];
	double		weight[NODES];
	double		bary[NODES];	/* barycentric weights */
	double		top[2][NODES];	/* values to two highest Legendre terms */
} Rule;

/* One step: from the state of the last look to fraction t. */
typedef struct Step
{
	const GrLookState *from;
	Rule		rule;
	double		root_from;		/* sqrt of the last look's fraction */
	double		root;			/* sqrt(t) */
	double		sigma;			/* sd of the increment */
} Step;

typedef enum Kernel
{
	KERNEL_DENSITY,
	KERNEL_TAIL
} Kernel;

extern void gr_panel_init_step(Step *step, const GrLookState *from, double t);

/* A panel of the last density, by its nodes x, in score units. */
extern void gr_panel_extent(const Step *step, const double *x, double *center,
							double *half);

/* Density of the score at s, or the probability beyond s. */
extern double gr_panel_integrate(const Step *step, Kernel kernel, double s);

#endif							/* GR_PANEL_H */
