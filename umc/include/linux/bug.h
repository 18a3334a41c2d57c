/* x */
#ifndef UMC_LINUX_BUG_H
#define UMC_LINUX_BUG_H

#include <x>

#endif
