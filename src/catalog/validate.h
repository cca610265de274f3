/*
 * validate.h
 *	  What the triggers of the catalog check, one file per subject.
 */
#ifndef GR_VALIDATE_H
#define GR_VALIDATE_H

#include "catalog/catalog.h"
#include "catalog/row.h"

/*
 * Are the events and exposures, if they are new, relations that have rows in every
 * session?  Asked whatever check_function_bodies is set to (validate_columns.c).
 */
extern void gr_check_relations(const Row *row, Oid events, Oid exposures);

/* The columns that an experiment names; exposures: InvalidOid for none (validate_columns.c). */
extern void gr_check_columns(const Row *row, Oid events, Oid exposures);

/* Planned shares and settings of arms, by themselves (validate_arms.c). */
extern void gr_check_shares(const Row *row);
extern void gr_check_parameter(const Row *row);

/* Can the columns that an experiment names hold its arms and its own name? */
extern void gr_check_names(const Row *row, Oid events, Oid exposures);

/* Is retention_time_zone, if it is new, a name of a zone (validate_time.c)? */
extern void gr_check_time_zone(const Row *row);

/*
 * Say how times are read that have no zone, where the row compares them with others or
 * with the time of the check (validate_zone.c); of an experiment, and of a rule.
 */
extern void gr_note_zone(const Row *row, Oid events, Oid exposures);
extern void gr_note_zone_of_rule(const Row *row, const Experiment *e);

/* The time columns of an experiment that have no zone, "a and b"; NULL: none. */
extern char *gr_columns_without_zone(Oid events, const char *time_column, Oid exposures,
									 const char *exposed_at_column);

/* Can a rule's window be told where events have only a date?  And those of all rules, when an experiment changes? */
extern void gr_check_days(const Row *row, Oid events, const char *time_column, Oid exposures,
						  const char *exposed_at_column);
extern void gr_check_days_of_rules(const Row *row, const char *schema, Oid events, Oid exposures);

/*
 * Parse, analyse and plan a rule's expressions with the rights of the experiment's
 * owner, whom the writer is a member of: planning runs functions that claim to be
 * immutable.  The type of the value; InvalidOid without one.
 */
extern Oid	gr_check_expressions(Oid owner, Oid events, const char *metric, const GrKind *kind,
								 const char *value, const char *denominator, const char *filter,
								 const char *covariate);

#endif							/* GR_VALIDATE_H */
