/*
 * joint.h
 *	  A scan for the joint moments of two rules' unit values.
 *
 * A metric of a scan is one value per unit (a pair for a ratio), and may carry a
 * covariate, one more number per unit.  So the products of two rules are collected
 * as metrics of the one (the left) with the numbers behind the other (the right)
 * as covariates.  A right side is built of folds alone: sums, counts, extremes,
 * the two sums of a ratio; a proportion is one when no unit has values of both
 * signs, which the scan finds out.  Averages per unit, capped values and shares of
 * units that reach something have none.  Of two rules with windows the products are
 * those of mature units, which must be the same for both.
 */
#ifndef GR_QUERY_JOINT_H
#define GR_QUERY_JOINT_H

#include "query/query.h"

#define GR_JOINT_TERMS 3		/* a ratio's two sums, and a covariate */

/* One number per unit that a rule's value is made of. */
typedef struct JointTerm
{
	Metric		left;			/* observed so, without covariate; ... */
	int			variable;		/* ... this one of its variables */
	int			fold;			/* on the right; -1: none */
	int			alone;			/* number of "left" in the scan */
} JointTerm;

typedef struct JointRule
{
	int			nterms;
	JointTerm	term[GR_JOINT_TERMS];
	bool		has_covariate;	/* it is the last term */
	bool		is_right;		/* every term has a fold */
	int			mature;			/* fold of its metrics' windows; -1: none */
	int			negative;		/* metric of units with negative values, which make
								 * the right side of a proportion wrong; -1: none */
	const char *why_not;		/* no joint moments at all; NULL */
} JointRule;

/* Numbers in the scan of left term x right term. */
typedef struct JointPair
{
	bool		wanted;
	int			left;			/* rules; -1: cannot be */
	int			right;
	int			metric[GR_JOINT_TERMS][GR_JOINT_TERMS];
	const char *why_not;
} JointPair;

typedef struct JointPlan
{
	ScanPlan   *scan;
	int			nrules;
	JointRule  *rules;
	JointPair  *pairs;			/* [nrules][nrules], i < j */
} JointPlan;

/*
 * Plan the scan for the pairs (i < j) that are wanted, [nrules * nrules].  Under
 * gr_owner_enter's settings.
 */
extern JointPlan *gr_joint_plan(Experiment *e, const char *schema, const bool *wanted);

#endif							/* GR_QUERY_JOINT_H */
