// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A channel is deleted: SAs, policies, the store's spec, then it goes off the
 * list. Until then its name is taken, and what failed can be tried again.
 */
#include "log.h"
#include "unp/channel.h"
#include "unp/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* It stays on the list, so that it can be deleted again. */
static void delete_failed(struct channel *c, int err, const char *text)
{
	log_err("channel %s: it could not be deleted: %s", c->config->name, text);
	snprintf(c->error, sizeof(c->error), "%s", text);
	channel_tell(c, err, text);
}

/* Nothing of it is left. */
static void delete_done(struct channel *c)
{
	c->env->off_list(c, c->env->list);
	channel_emit(c, "removed", QKD_EPOCH_NONE, NULL);
	channel_tell(c, 0, NULL);
	channel_release(c);
}

static void spec_cleared(void *arg, int err)
{
	struct channel *c = arg;
	char text[160];

	if (c->gone) {
		channel_tell(c, -ECANCELED, NULL);
	} else if (err) {
		snprintf(text, sizeof(text),
			 "its SAs and policies are gone, but it could not be removed from the key "
			 "store (%s) and comes back at the next start: delete it again",
			 strerror(-err));
		c->phase = CHANNEL_REMOVED;
		delete_failed(c, err, text);
	} else {
		delete_done(c);
	}
	channel_put(c);
}

static int remove_policies(struct channel *c)
{
	char error[256] = "", text[384];
	int err = 0;

	if (channel_is_esp(c))
		err = policy_remove(c->config->name, c->record.reqid, error, sizeof(error));
	if (!err)
		return 0;
	snprintf(text, sizeof(text),
		 "%s; its SAs are gone, and what stays of its policies blocks its traffic: delete "
		 "it again",
		 error);
	c->phase = CHANNEL_REMOVED;
	delete_failed(c, err, text);
	return err;
}

/* SAs first, then the policies: until then nothing passes. The store forgets it last. */
static void taken_down(struct channel *c)
{
	int err;

	c->state = 0;
	if (remove_policies(c))
		return;
	if (c->from_file) {
		delete_done(c);
		return;
	}
	channel_hold(c);
	err = store_channel_set_spec(c->env->store, c->config->name, NULL, spec_cleared, c);
	if (err)
		spec_cleared(c, err);
}

static void deleted(void *arg, int err, const void *record)
{
	struct channel *c = arg;
	const struct qkd_channel *r = record;
	char text[160];

	if (!err && r)
		err = r->status;
	if (err == -ENOENT)
		err = 0;
	if (c->gone) {
		channel_tell(c, err ? err : -ECANCELED, NULL);
	} else if (err) {
		snprintf(text, sizeof(text),
			 "the kernel did not take its SAs down: %s; it stays as it was",
			 strerror(-err));
		delete_failed(c, err, text);
		c->phase = CHANNEL_DOWN;
		channel_attach_failed(c, text);
	} else {
		taken_down(c);
	}
	channel_put(c);
}

static void tell_peer(struct channel *c)
{
	struct kx_frame frame = {.type = KX_CHANNEL_GONE};

	snprintf(frame.gone.channel, sizeof(frame.gone.channel), "%s", c->config->name);
	if (kx_peer_up(c->peer))
		kx_send(c->peer, &frame);
}

/* Without them its policies would go, and its SAs would not. */
static bool may_delete(struct channel *c)
{
	char text[512];

	if (!c->record.id) {
		snprintf(text, sizeof(text),
			 "its number is not known yet, so that its SAs and policies cannot be "
			 "found: the key store has to answer first%s%s",
			 *c->error ? ": " : "", c->error);
		channel_tell(c, -EAGAIN, text);
		return false;
	}
	if (c->env->backend || c->phase == CHANNEL_REMOVED || c->number_taken)
		return true;
	snprintf(text, sizeof(text),
		 "its SAs may stand and cannot be reached, so its policies stay: %s; mend that, "
		 "then delete it again",
		 *c->env->trouble ? c->env->trouble : "the kernel has not answered yet");
	channel_tell(c, -ENODEV, text);
	return false;
}

void channel_delete(struct channel *c, channels_done_fn done, void *arg)
{
	struct qkd_channel record = {.id = c->record.id};
	int err;

	c->done = done;
	c->done_arg = arg;
	if (!may_delete(c))
		return;
	channel_stop_agree(c);
	loop_timer_cancel(c->env->loop, &c->retry);
	tell_peer(c);
	c->phase = CHANNEL_DELETING;
	if (!c->env->backend || c->number_taken) {
		taken_down(c);
		return;
	}
	standing_forget(c->env->standing, record.id);
	channel_hold(c);
	err = backend_submit(c->env->backend, QKD_CMD_CHANNEL_DELETE, &record, deleted, c);
	if (err)
		deleted(c, err, NULL);
}
