
/*
 * Copyright (C) sync for nginx
 */


#ifndef _SYNC_REPORT_H_INCLUDED_
#define _SYNC_REPORT_H_INCLUDED_


#include <sync_audience.h>


/*
 * What a worker reports of messages that ask for it (sync_receipt.h): to how
 * many of its clients they went.
 */


/* Messages [from, to) of the batch are for one client more. */
void sync_report_count(sync_batch_t *b, uint32_t from, uint32_t to);

/* The batch is over. */
void sync_report_batch(sync_batch_t *b);


#endif /* _SYNC_REPORT_H_INCLUDED_ */
