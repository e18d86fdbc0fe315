/* Globs, matched by bytes and component by component; no recursion on "*", so no pattern is slow.
 */
#include "connectors/file/walk_int.h"

#include <string.h>

/* Matches one "[...]" at *pattern, which points behind '['. Moves *pattern behind ']'; false also
 * if unclosed. */
static bool class_match(const char **pattern, const char *end, unsigned char byte)
{
    const char *at = *pattern;
    bool negated = at < end && (*at == '!' || *at == '^'), found = false;
    at += negated;
    for (bool first = true; at < end && (first || *at != ']'); first = false) {
        unsigned char low = (unsigned char)*at++, high = low;
        if (at + 1 < end && *at == '-' && at[1] != ']') {
            high = (unsigned char)at[1];
            at += 2;
        }
        found |= byte >= low && byte <= high;
    }
    if (at >= end)
        return false;
    *pattern = at + 1;
    return found != negated;
}

/* One byte of name against one element of pattern; moves *pattern on if it matched. */
static bool element_match(const char **pattern, const char *end, unsigned char byte)
{
    const char *at = *pattern;
    if (*at == '[') {
        at++;
        if (!class_match(&at, end, byte))
            return false;
    } else if (*at == '\\' && at + 1 < end) {
        if ((unsigned char)at[1] != byte)
            return false;
        at += 2;
    } else {
        if (*at != '?' && (unsigned char)*at != byte)
            return false;
        at++;
    }
    *pattern = at;
    return true;
}

static bool component_match(const char *pattern, const char *pattern_end, const char *name,
                            const char *name_end)
{
    if (name < name_end && *name == '.' &&
        (pattern == pattern_end || (*pattern != '.' && *pattern != '\\')))
        return false;
    const char *star = NULL, *star_name = NULL;
    while (name < name_end) {
        if (pattern < pattern_end && *pattern == '*') {
            star = ++pattern;
            star_name = name;
        } else if (pattern < pattern_end &&
                   element_match(&pattern, pattern_end, (unsigned char)*name)) {
            name++;
        } else if (star) {
            pattern = star;
            name = ++star_name;
        } else {
            return false;
        }
    }
    while (pattern < pattern_end && *pattern == '*')
        pattern++;
    return pattern == pattern_end;
}

static const char *component_end(const char *text)
{
    const char *slash = strchr(text, '/');
    return slash ? slash : text + strlen(text);
}

static bool is_any_depth(const char *pattern, const char *end)
{
    return end - pattern == 2 && memcmp(pattern, "**", 2) == 0;
}

/* Components of both, with the usual backtracking to the last "**". partial: name is a folder that
 * needs only be the start of a match. */
static bool path_match(const char *pattern, const char *name, bool partial)
{
    const char *any = NULL, *any_name = NULL;
    while (*name) {
        const char *pattern_end = component_end(pattern), *name_end = component_end(name);
        if (*pattern && is_any_depth(pattern, pattern_end)) {
            if (partial)
                return true; /* anything may follow */
            any = pattern = *pattern_end ? pattern_end + 1 : pattern_end;
            any_name = name;
            if (!*any)
                return *name != '.' && strstr(name, "/.") == NULL;
            continue;
        }
        if (*pattern && component_match(pattern, pattern_end, name, name_end) &&
            (partial || !*pattern_end == !*name_end)) {
            pattern = *pattern_end ? pattern_end + 1 : pattern_end;
            name = *name_end ? name_end + 1 : name_end;
        } else if (any && *any_name != '.' && *component_end(any_name)) {
            any_name = component_end(any_name) + 1;
            name = any_name;
            pattern = any;
        } else {
            return false;
        }
    }
    return partial ? *pattern != '\0' : *pattern == '\0';
}

bool glob_match(const char *pattern, const char *name)
{
    return path_match(pattern, name, false);
}

bool glob_could_enter(const char *pattern, const char *directory)
{
    return path_match(pattern, directory, true);
}

bool glob_has_wildcard(const char *pattern)
{
    return strpbrk(pattern, "*?[\\") != NULL;
}

size_t glob_folder_size(const char *pattern)
{
    size_t literal = strcspn(pattern, "*?[\\");
    while (literal > 0 && pattern[literal - 1] != '/')
        literal--;
    return literal;
}
