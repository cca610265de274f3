/*
 * compat.h
 *	  What differs between the server's major versions, in one place.
 */
#ifndef GR_COMPAT_H
#define GR_COMPAT_H

#include "postgres.h"

#include "catalog/pg_class.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#if PG_VERSION_NUM < 150000
#error "guardrail needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* until 16 every member of a role could set it */
#if PG_VERSION_NUM < 160000
#define member_can_set_role(member, role) is_member_of_role(member, role)
#endif

/* 15.0 had another name for it */
#ifndef MAT_SRF_USE_EXPECTED_DESC
#define MAT_SRF_USE_EXPECTED_DESC SRF_SINGLE_USE_EXPECTED
#define InitMaterializedSRF(fcinfo, flags) SetSingleFuncCall(fcinfo, flags)
#endif

#if PG_VERSION_NUM >= 180000
#define GR_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "guardrail", .version = GUARDRAIL_VERSION)
#else
#define GR_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 16 renamed it, 17 put the two halves of a lock's virtual transaction together */
#if PG_VERSION_NUM >= 160000
#define GR_LOCAL_BEENTRY(i) pgstat_get_local_beentry_by_index(i)
#else
#define GR_LOCAL_BEENTRY(i) pgstat_fetch_stat_local_beentry(i)
#endif

#if PG_VERSION_NUM >= 170000
#define GR_LOCK_VXID(to, lock) ((to) = (lock)->vxid)
#else
#define GR_LOCK_VXID(to, lock) ((to).backendId = (lock)->backend, \
								(to).localTransactionId = (lock)->lxid)
#endif

/* take a lock for the session, if it is to be had at once; 18 can log that it is not */
#if PG_VERSION_NUM >= 180000
#define GR_LOCK_ACQUIRE(tag, mode, local) LockAcquireExtended(tag, mode, true, true, true, local, false)
#else
#define GR_LOCK_ACQUIRE(tag, mode, local) LockAcquireExtended(tag, mode, true, true, true, local)
#endif

/* 18 puts it first and has no word for it at the end */
#if PG_VERSION_NUM >= 180000
#define GR_NORETURN pg_noreturn
#else
#define GR_NORETURN __attribute__((noreturn))
#endif

#endif							/* GR_COMPAT_H */
