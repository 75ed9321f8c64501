#include "dataplane/runtime/exec/json_text.h"

/* One character of the input: how many bytes it takes, and whether they are well-formed. */
struct character {
	size_t bytes;
	bool is_sound;
	bool is_cut; /* the text ends inside it */
};

/* Lowest and highest second byte after each kind of first byte (Unicode 15, table 3-7). */
static bool second_is_sound(uint8_t first, uint8_t second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	default:
		return second >= 0x80 && second <= 0xbf;
	}
}

static struct character character_at(struct weir_span text, size_t place)
{
	const uint8_t first = (uint8_t)text.data[place];
	const size_t wanted = first < 0x80                     ? 1
			      : first >= 0xc2 && first <= 0xdf ? 2
			      : first >= 0xe0 && first <= 0xef ? 3
			      : first >= 0xf0 && first <= 0xf4 ? 4
							       : 0;

	if (wanted == 0)
		return (struct character){.bytes = 1};
	for (size_t i = 1; i < wanted; i++) {
		if (place + i == text.bytes)
			return (struct character){.bytes = 1, .is_cut = true};
		if (i == 1 ? !second_is_sound(first, (uint8_t)text.data[place + 1])
			   : ((uint8_t)text.data[place + i] & 0xc0) != 0x80)
			return (struct character){.bytes = 1};
	}
	return (struct character){.bytes = wanted, .is_sound = true};
}

/* Escape one ASCII character; returns the bytes written (1, 2 or 6). */
static size_t ascii_escape(char c, char out[WEIR_JSON_TEXT_GROWTH_MAX])
{
	static const char digits[] = "0123456789abcdef";
	static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (size_t i = 0; i + 1 < sizeof(named); i += 2) {
		if (named[i] == c) {
			out[0] = '\\';
			out[1] = named[i + 1];
			return 2;
		}
	}
	if ((uint8_t)c >= 0x20 && c != 0x7f) {
		out[0] = c;
		return 1;
	}
	memcpy(out, "\\u00", 4);
	out[4] = digits[(uint8_t)c >> 4];
	out[5] = digits[(uint8_t)c & 15];
	return 6;
}

size_t weir_json_text_escape(struct weir_span text, bool is_last, char *out, size_t out_max,
			     size_t *out_taken)
{
	size_t used = 0;
	size_t place = 0;

	while (place < text.bytes) {
		const struct character character = character_at(text, place);
		char escaped[WEIR_JSON_TEXT_GROWTH_MAX];
		size_t bytes = character.bytes;

		if (character.is_cut && !is_last)
			break;
		if (!character.is_sound) {
			bytes = 3;
			memcpy(escaped, "\xef\xbf\xbd", bytes); /* U+FFFD */
		} else if (bytes == 1) {
			bytes = ascii_escape(text.data[place], escaped);
		} else {
			memcpy(escaped, text.data + place, bytes);
		}
		if (bytes > out_max - used)
			break;
		memcpy(out + used, escaped, bytes);
		used += bytes;
		place += character.bytes;
	}
	*out_taken = place;
	return used;
}
