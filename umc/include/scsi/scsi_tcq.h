/* SPDX-License-Identifier: GPL-2.0-only */
/* Tags of commands of SCSI hosts: there are no such hosts in a node. API of Linux 6.12. */
#ifndef UMC_SCSI_SCSI_TCQ_H
#define UMC_SCSI_SCSI_TCQ_H

#include <linux/blkdev.h>
#include <linux/t10-pi.h>

#define SCSI_NO_TAG	(-1)

#endif
