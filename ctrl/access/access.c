#include "ctrl/access/access.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int weir_access_open(const char *data, struct weir_access *out_access)
{
	struct weir_access access = {.data = data};
	int code = weir_hasher_create(&access.hasher);

	if (code == 0)
		code = weir_throttle_create(&access.throttle);
	if (code == 0)
		*out_access = access;
	else
		weir_access_close(&access);
	return code;
}

void weir_access_close(struct weir_access *access)
{
	weir_token_key_close(access->key);
	weir_throttle_destroy(access->throttle);
	weir_hasher_destroy(access->hasher);
	*access = (struct weir_access){.key = NULL};
}

int weir_access_key(struct weir_access *access, const struct weir_token_key **out_key, const char **out_sentence)
{
	const int code = access->key != NULL ? 0 : weir_token_key_open(access->data, &access->key);

	if (code == -EACCES)
		*out_sentence = "others may read token.key in the data directory: chmod 600 it, or remove it, and all "
				"users log in again";
	else if (code == -EBADMSG)
		*out_sentence = "token.key in the data directory is no key: remove it, and all users log in again";
	else if (code != 0)
		*out_sentence = "token.key in the data directory can be neither read nor made; look at the directory's "
				"owner and at the disk";
	*out_key = access->key;
	return code;
}

int weir_access_uuid_make(char out_uuid[WEIR_MODEL_UUID_BYTES])
{
	unsigned char byte[16];
	size_t used = 0;

	if (getrandom(byte, sizeof(byte), 0) != (ssize_t)sizeof(byte))
		return -EIO;
	byte[6] = (unsigned char)((byte[6] & 0x0f) | 0x40);
	byte[8] = (unsigned char)((byte[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(byte); i++)
		used += (size_t)snprintf(out_uuid + used, WEIR_MODEL_UUID_BYTES - used, "%s%02x",
					 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", byte[i]);
	return 0;
}
