/* upload: code on its way into the instance, which keeps it by what it is: what it has is not sent again.
 * Private to ctrlctl. */
#ifndef WEIR_CTRL_CTRLCTL_UPLOAD_H
#define WEIR_CTRL_CTRLCTL_UPLOAD_H

#include <cjson/cJSON.h>

#include "ctrl/ctrlctl/ctl.h"
#include "ctrl/ctrlctl/pack.h"

/* Upload a file or directory. WEIR_CTL_OK and *out_json with its "code", or what went wrong, which was said. */
enum weir_ctl_exit weir_ctl_upload(const struct weir_ctl_call *call, const struct weir_ctl_pack *pack,
				   cJSON **out_json);

#endif
