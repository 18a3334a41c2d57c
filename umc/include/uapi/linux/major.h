/* SPDX-License-Identifier: GPL-2.0-only */
/* Major numbers of devices: those of block devices, and a few others. */
#ifndef UMC_UAPI_LINUX_MAJOR_H
#define UMC_UAPI_LINUX_MAJOR_H

#define UNNAMED_MAJOR 0
#define MEM_MAJOR 1
#define RAMDISK_MAJOR 1
#define FLOPPY_MAJOR 2
#define IDE0_MAJOR 3
#define LOOP_MAJOR 7
#define SCSI_DISK0_MAJOR 8
#define MD_MAJOR 9
#define MISC_MAJOR 10
#define SCSI_CDROM_MAJOR 11
#define IDE1_MAJOR 22
#define NBD_MAJOR 43
#define SCSI_DISK1_MAJOR 65
#define MMC_BLOCK_MAJOR 179
#define DRBD_MAJOR 147
#define BLOCK_EXT_MAJOR 259

#endif
