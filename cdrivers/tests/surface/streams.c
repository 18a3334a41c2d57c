// SPDX-License-Identifier: GPL-2.0-only
/*
 * One sequence of records over several connections: each is sent on one of them, and read by tcp_read_sock() from
 * sk_data_ready, under a lock that all connections share, when its turn has come. What is early stays with its connection,
 * which the callback of another one reads then. At last the connections go while their callbacks run.
 */
#include <linux/mutex.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "pair.h"

#define FLOWS 4
#define RECORDS 1200
#define RECORD_MAX 9000

struct head {
	__be32 sequence;
	__be32 bytes;
};

static struct flow {
	struct socket *ends[2];
	void (*data_ready)(struct sock *sk);
	void (*state_change)(struct sock *sk);
	void (*write_space)(struct sock *sk);
	/* Of the record that is being read. */
	u32 sequence, left;
	u8 part[sizeof(struct head)];
	unsigned int part_len;
	bool gone;
} flows[FLOWS];

static DEFINE_SPINLOCK(receive_lock);
static u32 sequence_wanted;
static u64 received, read_for_others;
static atomic_t write_spaces = ATOMIC_INIT(0), calls = ATOMIC_INIT(0);
/* A record has come before its turn. */
static struct completion early;
static struct completion all_received;

static DEFINE_MUTEX(send_mutex);
static u32 sequence_next;
static u64 sent;

/* What the stream has at that place. */
static u8 pattern(u64 at)
{
	return at * 31 + (at >> 11);
}

static void take_bytes(struct flow *flow, const u8 *data, unsigned int len)
{
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < len; i++)
		wrong += data[i] != pattern(received + i);
	CHECK_EQ(wrong, 0);
	received += len;
	flow->left -= len;
	if (!flow->left && ++sequence_wanted == RECORDS)
		complete(&all_received);
}

/* Takes of a block what can be taken now, and says how much that was. */
static unsigned int take_block(struct flow *flow, const u8 *data, unsigned int len)
{
	unsigned int taken = 0;

	while (taken < len) {
		unsigned int some;

		if (flow->left) {
			if (flow->sequence != sequence_wanted)
				break;
			some = min(flow->left, len - taken);
			take_bytes(flow, data + taken, some);
		} else {
			const struct head *head = (struct head *)flow->part;

			some = min_t(unsigned int, sizeof(flow->part) - flow->part_len, len - taken);
			memcpy(flow->part + flow->part_len, data + taken, some);
			flow->part_len += some;
			if (flow->part_len == sizeof(flow->part)) {
				flow->part_len = 0;
				flow->sequence = be32_to_cpu(head->sequence);
				flow->left = be32_to_cpu(head->bytes);
				CHECK(flow->left > 0 && flow->left <= RECORD_MAX);
				CHECK((s32)(flow->sequence - sequence_wanted) >= 0);
				if (flow->sequence != sequence_wanted)
					complete(&early);
			}
		}
		taken += some;
	}
	return taken;
}

static int take(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset, size_t len)
{
	struct flow *flow = desc->arg.data;
	struct skb_seq_state state;
	unsigned int consumed = 0;

	CHECK(in_softirq());
	CHECK(len > 0 && offset + len <= skb->len);
	skb_prepare_seq_read(skb, offset, offset + len, &state);
	while (consumed < len) {
		const u8 *data;
		unsigned int block = skb_seq_read(consumed, &data, &state);
		unsigned int taken;

		if (!block)
			break;
		taken = take_block(flow, data, block);
		consumed += taken;
		if (taken < block)
			break;
	}
	/* Harmless after the end, and needed before it. */
	skb_abort_seq_read(&state);
	return consumed;
}

static int read_flow(struct flow *flow)
{
	read_descriptor_t desc = { .count = 1, .arg.data = flow };
	struct tcp_sock *tp = tcp_sk(flow->ends[1]->sk);
	u32 before = tp->copied_seq;
	int copied = tcp_read_sock(flow->ends[1]->sk, &desc, take);

	if (copied > 0)
		CHECK_EQ(tp->copied_seq - before, copied);
	CHECK((s32)(READ_ONCE(tp->rcv_nxt) - tp->copied_seq) >= 0);
	return copied;
}

/* A connection whose turn has come, with bytes that its own callback left. */
static struct flow *next_flow(void)
{
	for (int i = 0; i < FLOWS; i++) {
		struct tcp_sock *tp;

		if (flows[i].gone || !flows[i].left || flows[i].sequence != sequence_wanted)
			continue;
		tp = tcp_sk(flows[i].ends[1]->sk);
		if (READ_ONCE(tp->rcv_nxt) != READ_ONCE(tp->copied_seq))
			return &flows[i];
	}
	return NULL;
}

static void data_is_ready(struct sock *sk)
{
	struct flow *flow = sk->sk_user_data;

	atomic_inc(&calls);
	CHECK(!READ_ONCE(flow->gone));
	spin_lock_bh(&receive_lock);
	read_flow(flow);
	while ((flow = next_flow())) {
		read_for_others++;
		if (read_flow(flow) <= 0)
			break;
	}
	spin_unlock_bh(&receive_lock);
}

static void state_has_changed(struct sock *sk)
{
	struct flow *flow = sk->sk_user_data;

	CHECK(!READ_ONCE(flow->gone));
	flow->state_change(sk);
}

static void space_is_there(struct sock *sk)
{
	struct flow *flow = sk->sk_user_data;

	atomic_inc(&write_spaces);
	flow->write_space(sk);
}

static void set_callbacks(struct flow *flow)
{
	struct sock *in = flow->ends[1]->sk, *out = flow->ends[0]->sk;

	write_lock_bh(&in->sk_callback_lock);
	in->sk_user_data = flow;
	flow->data_ready = in->sk_data_ready;
	flow->state_change = in->sk_state_change;
	in->sk_data_ready = data_is_ready;
	in->sk_state_change = state_has_changed;
	write_unlock_bh(&in->sk_callback_lock);
	write_lock_bh(&out->sk_callback_lock);
	out->sk_user_data = flow;
	flow->write_space = out->sk_write_space;
	out->sk_write_space = space_is_there;
	write_unlock_bh(&out->sk_callback_lock);
}

/* The head in two parts now and then, and behind it what the stream has next. */
static void send_records(int number)
{
	struct socket *sock = flows[number].ends[0];
	u8 *record = kmalloc(sizeof(struct head) + RECORD_MAX, GFP_KERNEL);

	if (!CHECK(record))
		return;
	for (;;) {
		struct head *head = (struct head *)record;
		u32 sequence, bytes;
		u64 at;

		mutex_lock(&send_mutex);
		sequence = sequence_next++;
		bytes = 1 + sequence * 7919 % RECORD_MAX;
		at = sent;
		sent += sequence < RECORDS ? bytes : 0;
		mutex_unlock(&send_mutex);
		if (sequence >= RECORDS)
			break;
		head->sequence = cpu_to_be32(sequence);
		head->bytes = cpu_to_be32(bytes);
		for (u32 i = 0; i < bytes; i++)
			record[sizeof(*head) + i] = pattern(at + i);
		/* The first one is late, so that there is something to wait with from the beginning. */
		if (!sequence)
			CHECK_COMES(&early);
		if (sequence % 3) {
			if (!CHECK(pair_send_all(sock, record, sizeof(*head) + bytes)))
				break;
		} else if (!CHECK(pair_send_all(sock, record, 5)) ||
			   !CHECK(pair_send_all(sock, record + 5, sizeof(*head) + bytes - 5))) {
			break;
		}
	}
	kfree(record);
}

static bool open_flows(void)
{
	memset(flows, 0, sizeof(flows));
	for (int i = 0; i < FLOWS; i++) {
		if (!pair_make(flows[i].ends))
			return false;
		/* Small, so that what is early is in the way of its sender soon. */
		flows[i].ends[0]->sk->sk_sndbuf = 32768;
		flows[i].ends[0]->sk->sk_userlocks |= SOCK_SNDBUF_LOCK;
		set_callbacks(&flows[i]);
	}
	return true;
}

static void in_sequence_over_all(void)
{
	init_completion(&early);
	init_completion(&all_received);
	if (!open_flows())
		return;
	check_together(FLOWS, send_records);
	CHECK_COMES(&all_received);
	spin_lock_bh(&receive_lock);
	CHECK_EQ(sequence_wanted, RECORDS);
	CHECK_EQ(received, sent);
	CHECK(read_for_others > 0);
	spin_unlock_bh(&receive_lock);
	for (int i = 0; i < FLOWS; i++) {
		CHECK(!flows[i].left && !flows[i].part_len);
		sock_release(flows[i].ends[0]);
		sock_release(flows[i].ends[1]);
	}
	CHECK(atomic_read(&calls) > 0);
}

/* Bytes one by one, as many as are wanted: it is asked again for those that it left. */
static int take_one(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset, size_t len)
{
	struct skb_seq_state state;
	const u8 *data;

	if (desc->written == desc->count)
		return desc->error;
	skb_prepare_seq_read(skb, offset, offset + len, &state);
	CHECK_EQ(skb_seq_read(0, &data, &state), len);
	CHECK_EQ(data[0], 'a' + desc->written);
	CHECK_EQ(skb_seq_read(len, &data, &state), 0);
	desc->written++;
	return 1;
}

static void as_much_as_is_wanted(void)
{
	read_descriptor_t desc = { .count = 3 };
	struct socket *ends[2];
	char text[8];

	if (!pair_make(ends))
		return;
	CHECK_EQ(pair_send(ends[0], "abcdef", 6, 0), 6);
	CHECK_EQ(pair_receive(ends[1], text, 6, MSG_WAITALL | MSG_PEEK), 6);
	CHECK_EQ(tcp_read_sock(ends[1]->sk, &desc, take_one), 3);
	CHECK_EQ(desc.written, 3);
	/* Its error is the answer if it took nothing before. */
	desc.error = -EIO;
	CHECK_EQ(tcp_read_sock(ends[1]->sk, &desc, take_one), -EIO);
	desc.count = 4;
	CHECK_EQ(tcp_read_sock(ends[1]->sk, &desc, take_one), 1);
	CHECK_EQ(pair_receive(ends[1], text, sizeof(text), MSG_DONTWAIT), 2);
	CHECK_EQ(memcmp(text, "ef", 2), 0);
	CHECK_EQ(tcp_read_sock(ends[1]->sk, &desc, take_one), 0);
	sock_release(ends[0]);
	sock_release(ends[1]);
}

static int take_all(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset, size_t len)
{
	return len;
}

static void drop_data(struct sock *sk)
{
	struct flow *flow = sk->sk_user_data;
	read_descriptor_t desc = { .count = 1, .arg.data = flow };

	CHECK(!READ_ONCE(flow->gone));
	spin_lock_bh(&receive_lock);
	tcp_read_sock(sk, &desc, take_all);
	spin_unlock_bh(&receive_lock);
	atomic_inc(&calls);
	CHECK(!READ_ONCE(flow->gone));
}

/* Until nobody takes it. */
static void send_without_end(int number)
{
	static u8 bytes[4096];
	int sent;

	do
		sent = pair_send(flows[number].ends[0], bytes, sizeof(bytes), 0);
	while (sent > 0);
	CHECK(sent == -EPIPE || sent == -ECONNRESET);
}

/* Odd ones say so first; after sock_release() no callback of the socket is under way, or begins. */
static void connections_go_while_callbacks_run(void)
{
	struct check_thread senders[FLOWS];

	if (!open_flows())
		return;
	atomic_set(&calls, 0);
	for (int i = 0; i < FLOWS; i++) {
		struct sock *sk = flows[i].ends[1]->sk;

		write_lock_bh(&sk->sk_callback_lock);
		sk->sk_data_ready = drop_data;
		write_unlock_bh(&sk->sk_callback_lock);
		if (!check_thread_run(&senders[i], NULL, send_without_end, i))
			return;
	}
	while (atomic_read(&calls) < 10 * FLOWS && !atomic_read(&checks_failed))
		schedule_timeout_uninterruptible(1);
	for (int i = 0; i < FLOWS; i++) {
		if (i % 2)
			kernel_sock_shutdown(flows[i].ends[1], SHUT_RDWR);
		sock_release(flows[i].ends[1]);
		WRITE_ONCE(flows[i].gone, true);
	}
	for (int i = 0; i < FLOWS; i++) {
		check_thread_end(&senders[i]);
		sock_release(flows[i].ends[0]);
	}
}

static int __init streams_init(void)
{
	in_sequence_over_all();
	as_much_as_is_wanted();
	for (int round = 0; round < 5; round++)
		connections_go_while_callbacks_run();
	return check_result();
}

static void __exit streams_exit(void)
{
}

module_init(streams_init);
module_exit(streams_exit);
MODULE_LICENSE("GPL");
