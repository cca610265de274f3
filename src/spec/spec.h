/*
 * spec.h
 *	  What one scan collects (shape.h), as text.
 *
 * The spec travels to parallel workers as text, an argument of the aggregate:
 *	 columns=2 filters=.f folds=s0,c0,x1,n1,h0 metrics=v0,p1,r0/1,a0/1,e4
 * A metric's covariate follows as @fold, the fold that says whether the unit is
 * mature as ?fold, what its value must reach as >3, ! when the values are flags (of
 * boolean type), its cap as ^q0.99 or ^v100.
 * After the metrics, events=fold: the sum that counts a unit's events, when not
 * every row is one.
 */
#ifndef GR_SPEC_H
#define GR_SPEC_H

#include "spec/shape.h"

extern char *gr_spec_print(const CollectSpec *spec);
extern CollectSpec *gr_spec_parse(const char *text);

/* Number the slots and lists of the folds. */
extern void gr_spec_number(CollectSpec *spec);

#endif							/* GR_SPEC_H */
