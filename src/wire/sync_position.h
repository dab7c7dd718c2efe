
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_POSITION_H_INCLUDED_
#define _SYNC_POSITION_H_INCLUDED_


#include "sync_base.h"


#define SYNC_LSN_LEN       17           /* FFFFFFFF/FFFFFFFF */
#define SYNC_POSITION_LEN  26           /* FFFFFFFF/FFFFFFFF.ffffffff */


typedef struct {
    uint64_t  lsn;
    uint32_t  nonce;
} sync_position_t;


/*
 * Parses an LSN as PostgreSQL does: two hexadecimal numbers of 1 to 8
 * digits with a slash between them, in either case.  Returns SYNC_OK or
 * SYNC_ERROR.
 */
sync_int_t sync_lsn_parse(uint64_t *lsn, const sync_str_t *s);

/*
 * Writes an LSN as PostgreSQL does, 0/16B3748, SYNC_LSN_LEN bytes at most.
 * Returns the end of what was written.
 */
u_char *sync_lsn_print(u_char *dst, uint64_t lsn);

/*
 * Parses "LSN.nonce"; the nonce has 8 hexadecimal digits in either case.
 * Returns SYNC_OK or SYNC_ERROR; *pos is set by SYNC_OK only.
 */
sync_int_t sync_position_parse(sync_position_t *pos, const sync_str_t *s);

/*
 * Writes "LSN.nonce", SYNC_POSITION_LEN bytes at most, the nonce in lower
 * case.  Returns the end of what was written.
 */
u_char *sync_position_print(u_char *dst, const sync_position_t *pos);


#endif /* _SYNC_POSITION_H_INCLUDED_ */
