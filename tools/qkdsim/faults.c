// SPDX-License-Identifier: GPL-2.0-or-later
#include "faults.h"

int faults_next(struct faults *faults)
{
	int code = faults->code;

	if (!code)
		return 0;
	faults->injected++;
	if (faults->left && --faults->left == 0)
		faults->code = 0;
	return code;
}
