/*
 * choice.h
 *	  What is decided over several metrics or several arms at once: joint
 *	  covariances, cannibalisation, the choice of an arm, the best setting.
 */
#ifndef GR_CHOICE_H
#define GR_CHOICE_H

#include "evaluate/evaluation.h"
#include "choice/joint_plan.h"
#include "stats/joint.h"

/* ---- bounds beyond those of the evaluation (bounds.c) ---------------------- */

/*
 * Which look the evaluation's data are of: this one, or the last recorded, if no
 * unit has come since; -1: between two, where group_sequential has no bounds.
 */
typedef struct Bounds
{
	Evaluation *v;
	int			look;
} Bounds;

/* levels: how many levels will be asked for at most. */
extern Bounds gr_bounds_make(Evaluation *v, const char *schema, int levels);

/*
 * The multiplier of a two-sided bound at a level, for estimates of n units with df
 * degrees of freedom; infinite where the design proves nothing.
 */
extern double gr_bounds_multiplier(const Bounds *b, double level, double n, double df);

/* The primary's alpha; 0.05 without one. */
extern double gr_primary_alpha(const Evaluation *v);

/* Evaluate for a reader; SPI is connected and stays so.  *schema: the extension's. */
extern Evaluation *gr_evaluate_argument(FunctionCallInfo fcinfo, MemoryContext context, char **schema);

/* ---- joint covariances (covariance.c) -------------------------------------- */

typedef struct Joint
{
	JointPlan  *plan;
	Collection *c;				/* NULL: no pair can be */
} Joint;

/* One more scan, for the pairs (i < j) wanted, [nrules * nrules]. */
extern Joint *gr_joint_collect(const Evaluation *v, const char *schema, const bool *wanted,
							   MemoryContext context);

/* Two effects in one arm; relative where the rule's limit is, else differences. */
typedef struct JointEffect
{
	double		effect[2];
	double		variance[2];
	double		covariance;		/* NaN: none, and why */
	const char *why_not;
} JointEffect;

/* Of rules i and j in treatment arm a. */
extern JointEffect gr_joint_effect(const Evaluation *v, const Joint *joint, int a, int i, int j);

/* What the effect of a rule is called here: difference for an absolute limit. */
extern GrContrastKind gr_joint_contrast(const GrRule *rule);

/* ---- cannibalisation (cannibal.c) ------------------------------------------- */

/* Did the metric win (1), lose (-1), or neither (0) against control? */
extern int	gr_outcome(const Evaluation *v, const GrResult *r);

/*
 * "won: clicks up; lost: returned down" of an arm where both has happened, or
 * NULL.
 */
extern char *gr_cannibalization_flag(const Evaluation *v, int a);

#endif							/* GR_CHOICE_H */
