/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI devices (API of Linux 6.12): a node has no bus, so nobody ever holds one.
 */
#ifndef UMC_LINUX_PCI_H
#define UMC_LINUX_PCI_H

#include <linux/device.h>
#include <linux/types.h>

/* umc: handle */
struct pci_dev;

static inline struct pci_dev *pci_dev_get(struct pci_dev *dev)
{
	return dev;
}

static inline void pci_dev_put(struct pci_dev *dev)
{
}

static inline const char *pci_name(const struct pci_dev *dev)
{
	return "";
}

#endif
