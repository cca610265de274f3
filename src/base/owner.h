/*
 * owner.h
 *	  Whose rights statements run with.
 */
#ifndef GR_OWNER_H
#define GR_OWNER_H

#include "base/spi.h"
#include "base/writing.h"

typedef struct OwnerContext
{
	Oid			user;
	int			security;
	int			guc_level;
	GrWriting	writing;
	bool		read_only;
} OwnerContext;

/*
 * From enter to leave, statements run with the rights of role, without the
 * right to change session state when role is not the caller, under settings
 * that fix the meaning of their text, and write nothing.  An error in between is undone by the
 * end of the (sub)transaction.
 */
extern void gr_owner_enter(OwnerContext *saved, Oid role);
extern void gr_owner_leave(const OwnerContext *saved);

/* Write the extension's own tables: as their owner. */
extern void gr_writer_enter(OwnerContext *saved, Oid function);

#endif							/* GR_OWNER_H */
