/* ~/.aws/credentials and ~/.aws/config: the INI form that AWS tools read. */
#include "connectors/s3/credentials_int.h"

#include "engine/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SMALL_FILE_MAX (1u << 20)

weir_status small_file_read(struct weir_account *account, const char *path, struct weir_buffer *out,
                            struct weir_error *reterr)
{
    char text[128], piece[4096];
    FILE *file = fopen(path, "re");
    if (!file)
        return weir_fail(reterr, errno == ENOENT ? WEIR_NOT_FOUND : WEIR_DENIED, "reading %s: %s",
                         path, strerror_r(errno, text, sizeof text));
    weir_status status = WEIR_OK;
    for (size_t got; status == WEIR_OK && (got = fread(piece, 1, sizeof piece, file)) > 0;) {
        status = out->size + got > SMALL_FILE_MAX
                     ? weir_fail(reterr, WEIR_UNSUPPORTED, "%s is larger than %u bytes", path,
                                 SMALL_FILE_MAX)
                     : weir_buffer_append(out, piece, got, reterr);
    }
    if (status == WEIR_OK && ferror(file))
        status = weir_fail(reterr, WEIR_IO, "reading %s failed", path);
    fclose(file);
    WEIR_TRY(status);
    while (out->size && strchr(" \t\r\n", out->data[out->size - 1]))
        out->size--;
    WEIR_TRY(weir_buffer_reserve(out, 1, reterr));
    out->data[out->size] = '\0';
    return WEIR_OK;
}

static void trim(char **text)
{
    *text += strspn(*text, " \t\r");
    size_t size = strlen(*text);
    while (size && strchr(" \t\r", (*text)[size - 1]))
        (*text)[--size] = '\0';
}

/* "[default]", "[profile name]" and, in the credentials file, "[name]". */
static bool section_is(char *line, const char *profile)
{
    char *end = strchr(line, ']');
    if (!end)
        return false;
    *end = '\0';
    char *name = line + 1;
    trim(&name);
    if (strncmp(name, "profile", 7) == 0 && (name[7] == ' ' || name[7] == '\t')) {
        name += 7;
        trim(&name);
    }
    return strcmp(name, profile) == 0;
}

/* key NULL: whether the section exists. */
static bool text_value(char *text, const char *profile, const char *key, char *ret_value,
                       size_t size)
{
    bool inside = false;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        bool indented = *line == ' ' || *line == '\t'; /* settings nested below another one */
        trim(&line);
        if (*line == '[') {
            inside = section_is(line, profile);
            if (inside && !key)
                return true;
            continue;
        }
        char *equals = strchr(line, '=');
        if (!inside || indented || !equals || *line == '#' || *line == ';' || !key)
            continue;
        *equals = '\0';
        char *value = equals + 1;
        trim(&line);
        trim(&value);
        if (strcasecmp(line, key) == 0 && *value && strlen(value) < size) {
            memcpy(ret_value, value, strlen(value) + 1);
            return true;
        }
    }
    return false;
}

static bool file_value(struct weir_account *account, const char *variable, const char *name,
                       const char *profile, const char *key, char *ret_value, size_t size)
{
    WEIR_AUTO(weir_buffer) buffer = {.account = account};
    const char *path = getenv(variable), *home = getenv("HOME");
    char joined[4096];
    if (!path || !*path) {
        if (!home ||
            snprintf(joined, sizeof joined, "%s/.aws/%s", home, name) >= (int)sizeof joined)
            return false;
        path = joined;
    }
    return small_file_read(account, path, &buffer, NULL) == WEIR_OK &&
           text_value((char *)buffer.data, profile, key, ret_value, size);
}

bool profile_value(struct weir_account *account, const char *profile, const char *key,
                   char *ret_value, size_t size)
{
    return file_value(account, "AWS_SHARED_CREDENTIALS_FILE", "credentials", profile, key,
                      ret_value, size) ||
           file_value(account, "AWS_CONFIG_FILE", "config", profile, key, ret_value, size);
}

bool profile_exists(struct weir_account *account, const char *profile)
{
    return profile_value(account, profile, NULL, NULL, 0);
}

bool s3_profile_setting(struct weir_context *context, const char *profile, const char *key,
                        char *ret_value, size_t size)
{
    const char *named = profile && *profile ? profile : getenv("AWS_PROFILE");
    return profile_value(&context->memory, named && *named ? named : "default", key, ret_value,
                         size);
}

int64_t s3_time_ms(const char *text)
{
    int64_t micros;
    return weir_text_timestamptz(text, strlen(text), &micros) ? micros / 1000 : 0;
}
