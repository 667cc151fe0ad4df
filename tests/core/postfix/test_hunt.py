from hypothesis import given, settings, strategies as st, example
from datetime import datetime, UTC
from tests.strategies_postfix import *
from service.core.postfix import parse
from service.core.postfix.facts import *
from service.core.postfix.result import *
from service.core.syslog.message import SyslogMessage
def facts(text, tag='postfix/smtpd'):
    r=parse(SyslogMessage('',datetime.now(UTC),'exact','h',tag,1,text))
    assert isinstance(r,Failure),(r,text)
    return r.facts
S=settings(max_examples=12000,deadline=None)
@S
@given(addresses(),addresses(),helo_names(),hostile())
def test_smtpd(s,r,h,t):
    t='554 5.7.1 <v@x>: Recipient address rejected: x'+t
    f=facts(smtpd_line(Session(sender=s,recipient=r,helo=h),t))
    assert (f.sender,f.recipient,f.helo,f.protocol,f.sasl_username,f.sasl_method,f.response,f.truncated,f.smtp_code)==(external(s),external(r),h,'ESMTP',None,None,printable(t),False,554)
@S
@given(addresses(),addresses(),helo_names(),hostile(),hostile(5).map(printable))
def test_sasl(s,r,h,t,u):
    t='554 5.7.1 <v@x>: Recipient address rejected: x'+t
    u='u'+u.replace('; ','')
    from hypothesis import assume
    assume(' sasl_sender=' not in u and ' proto=' not in u)
    f=facts(smtpd_line(Session(sender=s,recipient=r,helo=h,sasl_method='LOGIN',sasl_username=u),t))
    assert (f.sender,f.recipient,f.helo,f.protocol,f.sasl_username,f.sasl_method,f.response)==(external(s),external(r),h,'ESMTP',u.rstrip(),'LOGIN',printable(t))
@S
@given(addresses(),addresses(),helo_names(),hostile(),hostile(5).map(printable))
def test_milter(s,r,h,t,u):
    t='554 5.7.1 x'+t
    u='u'+u.replace('; ','')
    from hypothesis import assume
    assume(' proto=' not in u)
    f=facts(milter_line(Session(sender=s,recipient=r,helo=h,sasl_username=u),t))
    assert (f.sender,f.recipient,f.helo,f.protocol,f.sasl_username,f.response)==(external(s),external(r),h,'ESMTP',u,printable(t))
@S
@given(addresses(),addresses(),hostile())
def test_ps(s,r,h):
    f=facts(postscreen_line(Session(client='[192.0.2.1]:123',sender=s,recipient=r,helo=h),'550 5.5.1 Protocol error'))
    if '@' in r:
        assert (f.sender,f.recipient,f.helo,f.protocol,f.response)==(external(s),external(r),printable(h) or None,'ESMTP','550 5.5.1 Protocol error')
@S
@given(addresses(),addresses(),helo_names(),hostile())
def test_header(s,r,h,c):
    c='Subject: '+c
    f=facts(content_line(Session(sender=s,recipient=r,helo=h),c,'5.7.1 no spam'))
    assert (f.sender,f.recipient,f.helo,f.protocol,f.response,f.content,f.client.ip)==(external(s),external(r),h,'ESMTP','5.7.1 no spam',printable(c),'192.0.2.10')
@S
@given(addresses(),addresses(),hostile())
def test_header_local(s,r,c):
    c='Subject: '+c
    f=facts(content_line(Session(client='local',sender=s,recipient=r,helo=None,protocol=None),c,'5.7.1 no spam'))
    assert (f.sender,f.recipient,f.helo,f.protocol,f.response,f.content,f.client)==(external(s),external(r),None,None,'5.7.1 no spam',printable(c),None)
@S
@given(addresses(),addresses(),hostile())
def test_mime(s,r,c):
    f=facts(mime_line(Session(sender=s,recipient=r),'improper use of 8-bit data in message header',c))
    assert (f.sender,f.recipient,f.response,f.content)==(external(s),external(r),'improper use of 8-bit data in message header',printable(c))
@S
@given(addresses(),st.none()|addresses(),hostile())
def test_delivery(r,o,t):
    t='host m[192.0.2.1] said: 550 5.1.1 '+t+' (in reply to RCPT TO command)'
    f=facts(delivery_line(r,t,o))
    assert (f.recipient,f.original_recipient,f.response,f.relay.host,f.relay.ip,f.remote_reply.command)==(external(r),None if o is None else external(o),printable(t),'mx.example.net','192.0.2.1','RCPT TO')
    assert f.remote_reply.text==printable(t)[len('host m[192.0.2.1] said: '):-len(' (in reply to RCPT TO command)')]
@S
@given(addresses())
def test_exp(s):
    f=facts(expiry_line(s))
    assert (f.sender,f.status)==(external(s),'expired')
@S
@given(addresses(),helo_names())
def test_internal_sender(s,h):
    s=s.replace('; ',';')
    f=facts(smtpd_line(Session(sender=s,recipient='r@x.example',helo=h),'554 5.7.1 <r@x.example>: Relay access denied',form=internal))
    assert (f.sender,f.recipient,f.helo)==(s,'r@x.example',h)
@S
@given(addresses(),addresses(),helo_names())
def test_internal_echo(s,r,h):
    from hypothesis import assume
    assume(r)
    s='s@x.example'
    f=facts(smtpd_line(Session(sender=s,recipient=r,helo=h),'554 5.7.1 <'+r+'>: Relay access denied',form=internal))
    assert (f.sender,f.recipient,f.helo)==(s,r,h)
@S
@given(addresses(),hostile())
def test_internal_delivery(r,t):
    from hypothesis import assume
    assume('>, relay=' not in r and '>, orig_to' not in r)
    f=facts(delivery_line(r,'x'+t,form=internal))
    assert (f.recipient,f.response)==(r,printable('x'+t))
@S
@given(addresses(),addresses(),hostile())
def test_ps_internal(s,r,h):
    from hypothesis import assume
    assume('>' not in s and '>' not in r and r)
    f=facts(postscreen_line(Session(client='[192.0.2.1]:123',sender=s,recipient=r,helo=h),'550 5.5.1 Protocol error',form=internal))
    assert (f.sender,f.recipient,f.helo,f.protocol,f.response)==(s,r,printable(h) or None,'ESMTP','550 5.5.1 Protocol error')
