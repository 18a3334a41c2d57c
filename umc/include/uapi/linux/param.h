/* Ticks. */
#ifndef UMC_UAPI_LINUX_PARAM_H
#define UMC_UAPI_LINUX_PARAM_H

#include <asm/param.h>

#endif
