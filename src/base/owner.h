/*
 * owner.h
 *	  Whose rights statements run with.
 */
#ifndef GR_OWNER_H
#define GR_OWNER_H

#include "base/spi.h"
#include "base/writing.h"

/*
 * A bit of the security context, beside those of the server: what runs is the text of an
 * experiment's owner.  It is kept as those are, by functions that change the role and by
 * parallel workers, and goes with the (sub)transaction.
 */
#define GR_SECURITY_READING 0x01000000

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

/* ---- what such text may not do beside writing (forbidden.c) ----------------------- */

/* From the loading of the library on, nothing between enter and leave notifies or writes large objects. */
extern void gr_forbid_side_effects(void);

/* The advisory locks of the session, and to have those again and no others. */
extern List *gr_session_locks(void);
extern void gr_restore_session_locks(const List *before);

#endif							/* GR_OWNER_H */
