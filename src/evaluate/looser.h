/*
 * looser.h
 *	  Versions of a plan, and in what one guards less than another.
 */
#ifndef GR_LOOSER_H
#define GR_LOOSER_H

#include "catalog/catalog.h"

/* Columns of guardrail_experiment that guard. */
#define GR_GUARDING_COLUMNS 20
extern const char *gr_guarding_column(int c);

/* What a plan's views and functions are called where columns are named. */
#define GR_DEFINITIONS "definitions"

/* A version of the plan. */
typedef struct Version
{
	int			number;
	int64		units;			/* seen when it was made; -1: not counted */
	char	   *server_version; /* another may print definitions in other words */
	char	   *definitions;
	char	   *value[GR_GUARDING_COLUMNS];
	Experiment *e;				/* with its rules */
} Version;

/* The rule of that metric, or NULL. */
extern const Rule *gr_rule_named(const Experiment *e, const char *metric);

/*
 * What of a rule, or of a column of the experiment, is looser in one version than in
 * another, in words; NULL: nothing.  as_it_was: so is what is neither stricter nor looser,
 * such as another expression.
 */
extern char *gr_what_is_looser(const Version *was, const Version *is, const char *name, bool is_rule,
							   bool as_it_was);

#endif							/* GR_LOOSER_H */
