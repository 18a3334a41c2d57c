/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of PCI devices (API of Linux 6.12): there is none, as in a kernel that was built without it.
 */
#ifndef UMC_LINUX_PCI_P2PDMA_H
#define UMC_LINUX_PCI_P2PDMA_H

#include <linux/errno.h>
#include <linux/pci.h>
#include <linux/types.h>

struct block_device;
struct device;
struct pci_dev;
struct scatterlist;

static inline int pci_p2pdma_distance_many(struct pci_dev *provider, struct device **clients, int num_clients,
					   bool verbose)
{
	return -1;
}

static inline int pci_p2pdma_distance(struct pci_dev *provider, struct device *client, bool verbose)
{
	return -1;
}

static inline bool pci_has_p2pmem(struct pci_dev *pdev)
{
	return false;
}

static inline struct pci_dev *pci_p2pmem_find_many(struct device **clients, int num_clients)
{
	return NULL;
}

static inline struct pci_dev *pci_p2pmem_find(struct device *client)
{
	return NULL;
}

static inline struct scatterlist *pci_p2pmem_alloc_sgl(struct pci_dev *pdev, unsigned int *nents, u32 length)
{
	return NULL;
}

static inline void pci_p2pmem_free_sgl(struct pci_dev *pdev, struct scatterlist *sgl)
{
}

static inline int pci_p2pdma_enable_store(const char *page, struct pci_dev **p2p_dev, bool *use_p2pdma)
{
	*use_p2pdma = false;
	return 0;
}

static inline ssize_t pci_p2pdma_enable_show(char *page, struct pci_dev *p2p_dev, bool use_p2pdma)
{
	return scnprintf(page, PAGE_SIZE, "none\n");
}

#endif
