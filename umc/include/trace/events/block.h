/* SPDX-License-Identifier: GPL-2.0-only */
/* Trace points of the block layer. API of 6.12; nobody can listen to any (linux/tracepoint.h). */
#ifndef UMC_TRACE_EVENTS_BLOCK_H
#define UMC_TRACE_EVENTS_BLOCK_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/tracepoint.h>

/* Lines in a trace of blktrace. */
#define blk_add_trace_msg(queue, fmt, ...) do { } while (0)

DECLARE_TRACE(block_bio_queue, TP_PROTO(struct bio *bio), TP_ARGS(bio))
DECLARE_TRACE(block_bio_complete, TP_PROTO(struct request_queue *queue, struct bio *bio), TP_ARGS(queue, bio))
DECLARE_TRACE(block_bio_remap, TP_PROTO(struct bio *bio, dev_t from, sector_t sector), TP_ARGS(bio, from, sector))
DECLARE_TRACE(block_rq_remap, TP_PROTO(struct request *rq, dev_t from, sector_t sector), TP_ARGS(rq, from, sector))
DECLARE_TRACE(block_split, TP_PROTO(struct bio *bio, unsigned int sector), TP_ARGS(bio, sector))
DECLARE_TRACE(block_unplug, TP_PROTO(struct request_queue *queue, unsigned int depth, bool explicit),
	      TP_ARGS(queue, depth, explicit))

#endif
