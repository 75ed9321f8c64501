/* project: what the files of FaaS Project's adapter share: who somebody is, and how its services answer. Private to
 * project*.c. Threads, ownership: dialect.h. */
#ifndef WEIR_CTRL_DIALECT_PROJECT_H
#define WEIR_CTRL_DIALECT_PROJECT_H

#include "ctrl/dialect/dialect.h"
#include "ctrl/model/model_user.h"

/* Whose token it is. */
struct weir_project_person {
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char uuid[WEIR_MODEL_UUID_BYTES];
	bool may_make; /* functions */
};

enum weir_project_credentials {
	WEIR_PROJECT_NONE,
	WEIR_PROJECT_OTHER,   /* something that is no token at all */
	WEIR_PROJECT_WRONG,
	WEIR_PROJECT_UNKNOWN, /* nobody is there who could tell */
	WEIR_PROJECT_GOOD,
};

struct weir_project_claim {
	enum weir_project_credentials credentials;
	struct weir_project_person person;                      /* GOOD */
	char reason[WEIR_DIALECT_SENTENCE_BYTES]; /* WRONG, UNKNOWN */
};

/* Who is it? `is_remembered_good`: as of a moment ago will do. 0, or as manage(). */
int weir_project_claim(struct weir_dialect_call *call, bool is_remembered_good, struct weir_project_claim *claim);

/* Name, uuid and role of an answer of the API's. */
void weir_project_person_read(const struct weir_dialect_verdict *verdict, struct weir_project_person *person);

/* Reply with a text and a line's end; `reason`, which may be NULL, beside it. 0 or -ENOMEM. */
int weir_project_say(struct weir_dialect_call *call, uint16_t status, const char *sentence, const char *reason);

/* /publisher/publish. */
int weir_project_publish(struct weir_dialect_call *call);

#endif
