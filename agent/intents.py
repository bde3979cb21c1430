"""What a candidate plainly wants, by words alone: pure, English and Chinese.

Code acts on these without a model, so a false alarm costs more than a miss:

* a whole sentence must be the request, courtesies aside; "I had to skip the question of cost" is not one;
* only the last sentence is looked at, so that a story containing "can we stop here" is just a story.
"""

from __future__ import annotations

import re
from functools import cache

_SENTENCE_END = re.compile(r"[.?!;。？！；…]+")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'"})
_NOT_A_WORD = re.compile(r"[^\w' ]+")

_LEAD = r"""(?: (?:
    well | okay | ok | oh | ah | um+ | uh+ | hm+ | er+ | so | and | but | yes | yeah | no | hi | hello | hey | actually
  | sorry | i(?:'m|\ am)\ (?:so\ |very\ |really\ )?sorry | excuse\ me | pardon(?:\ me)? | please | maybe | perhaps
  | i\ think | i\ guess | i'm\ afraid | honestly | to\ be\ honest | in\ that\ case | you\ know | listen | look
  | thanks? (?:\ you)? (?:\ very\ much|\ a\ lot)? | that\ is\ a\ good\ question | that's\ a\ good\ question
  | good\ question | of\ course | sure | right | alright | all\ right | then | for\ now | if\ possible
  | if\ (?:that\ is|that's|it\ is|it's)\ (?:okay|ok|all\ right|alright|fine|possible)
) \ )*"""
_TRAIL = r"""(?: \ (?:
    please | now | right\ now | here | then | thanks | thank\ you | sorry | actually | though | instead | for\ me | for\ now
  | if\ possible | if\ you\ (?:can|could|don't\ mind|do\ not\ mind|would) | if\ i\ (?:may|can|could)
  | if\ (?:that\ is|that's|it\ is|it's)\ (?:okay|ok|all\ right|alright|fine|possible)
  | is\ that\ (?:okay|ok|all\ right|alright|fine|possible) | today | first | again | once\ more | one\ more\ time
) )*"""
_WANT = r"""(?: i\ (?:want|wanna|would\ like|need|wish|prefer|would\ prefer|have)\ to | i'd\ (?:like|prefer|want)\ to
  | i'd\ rather | i\ would\ rather | i'll | let's | let\ us | let\ me | i\ am\ going\ to | i'm\ going\ to
  | (?:can|could|may|might|shall|should)\ (?:we|i|you)(?:\ (?:please|just|maybe|perhaps|possibly))?
  | would\ you(?:\ please|\ mind)? | is\ it\ (?:okay|ok|possible|all\ right|alright)\ (?:if\ (?:we|i)|to|for\ (?:me|us)\ to)
  | do\ you\ mind\ if\ (?:we|i) | i\ think\ (?:we|i)\ should | please | just )"""
_JUST = r"(?:\ (?:just|rather|really|please|now|maybe|also))*"

_SKIP = rf"""{_LEAD} (?:
    {_WANT}{_JUST}\ (?: (?:skip|pass\ on|leave\ out)(?:\ (?:it|this|that|this\ one|that\ one|(?:this|that|the)\ question))?
        | (?:not|rather\ not)\ answer(?:\ (?:it|this|that|(?:this|that|the)\ (?:one|question)))? | pass
        | (?:go|move|skip|jump)\ (?:on\ |ahead\ )?(?:to|on\ to|onto)\ (?:the\ next|another)(?:\ (?:one|question))?
        | have\ (?:the\ next|another)\ question | take\ the\ next\ (?:one|question)
        | (?:go|move)\ on )
  | (?:skip|pass)(?:\ (?:it|this|that|on\ (?:it|this|that)|this\ one|that\ one|(?:this|that|the)\ question))?
  | (?:i'd|i\ would)\ rather\ not(?:\ (?:answer|say)(?:\ (?:it|this|that|(?:this|that|the)\ question))?)?
  | i\ (?:don't|do\ not)\ want\ to\ answer(?:\ (?:it|this|that|(?:this|that|the)\ question))?
  | i(?:'ll|\ will)\ pass(?:\ on\ (?:it|this|that|this\ one|that\ one))?
  | (?:the\ )?next(?:\ (?:question|one))?
) {_TRAIL}"""
_INTERVIEW = r"(?:(?:the|this|our|my)\ )?(?:interview|call|conversation|session)"
_END = rf"""{_LEAD} (?:
    {_WANT}{_JUST}\ (?: (?:end|stop|quit|finish|leave|terminate|cancel|abort|exit|close)\ {_INTERVIEW}
        | (?:end|stop|finish|leave)\ (?:it\ |this\ |things\ )?(?:here|now|there|early) | (?:end|stop|quit)(?:\ (?:it|this))?
        | hang\ up | (?:go|leave|drop\ off|withdraw) | withdraw(?:\ from\ {_INTERVIEW})?
        | call\ it\ (?:a\ day|quits) )
  | (?:end|stop|quit|finish|cancel)\ {_INTERVIEW}
  | i\ (?:don't|do\ not)\ want\ to\ (?:continue|go\ on|do\ this)(?:\ (?:with\ )?(?:{_INTERVIEW}|this))?(?:\ (?:any\ ?more|any\ longer))?
  | i\ (?:don't|do\ not)\ want\ to\ (?:continue|do)\ {_INTERVIEW}(?:\ (?:any\ ?more|any\ longer))?
  | i(?:'m|\ am)\ done\ (?:with\ {_INTERVIEW}|here) | i\ (?:have\ to|need\ to|must|gotta)\ (?:go|leave|hang\ up)
  | that's\ enough | goodbye | bye(?:\ bye)?
) {_TRAIL}"""
_HUMAN = (
    r"(?:(?:a|an|some|the|any)\ )?(?:real\ |actual\ |live\ |human\ )*"
    r"(?:person|human(?:\ being)?|recruiter|interviewer|someone\ real|somebody\ real|people|colleague)"
)
_PERSON = rf"""{_LEAD} (?:
    {_WANT}{_JUST}\ (?:(?:speak|talk|chat)\ (?:to|with)|be\ interviewed\ by|do\ (?:this|it|the\ interview)\ with|have|get|see|reach)
        \ (?:{_HUMAN}|someone)(?:\ instead(?:\ of\ (?:a|an|the|this)\ (?:ai|machine|robot|bot))?)?
  | i\ (?:want|need|prefer|would\ like|would\ prefer)\ {_HUMAN} | i'd\ (?:like|prefer|want)\ {_HUMAN}
  | (?:can|could|may)\ (?:i|you)\ (?:please\ )?(?:get|have|give\ me|put\ me\ through\ to|connect\ me\ (?:to|with)|transfer\ me\ to)
        \ (?:{_HUMAN}|someone)
  | i\ (?:don't|do\ not)\ want\ to\ (?:speak|talk|be\ interviewed)\ (?:to|with|by)
        \ (?:a|an|the|this)\ (?:ai|machine|robot|computer|bot|voice)
  | (?:speak|talk)\ to\ {_HUMAN} | {_HUMAN}
) {_TRAIL}"""
_SAID = r"(?:that|it|this|(?:the|your|this|that|the\ last)\ (?:last\ )?question|what\ you\ said|yourself)"
_REPEAT = rf"""{_LEAD} (?:
    (?:can|could|would|will)\ (?:you|we)\ (?:please\ |maybe\ |just\ |kindly\ )*(?:repeat|rephrase|reword|re-?read|say|read|ask|explain|clarify)
        (?:\ {_SAID})?(?:\ (?:in\ (?:other|another|different)\ (?:words?|way)|differently|more\ slowly|slower|a\ bit\ slower))?
  | (?:would|do)\ you\ mind\ (?:repeating|saying|rephrasing)(?:\ {_SAID})?
  | (?:repeat|say|rephrase)(?:\ {_SAID})? | (?:may|can|could)\ (?:i|we)\ hear\ {_SAID}
  | (?:i'd|i\ would)\ like\ you\ to\ repeat(?:\ {_SAID})? | i\ (?:would\ like|want|need)\ to\ hear\ {_SAID}
  | what\ was\ (?:that|the\ question|your\ question) | what\ did\ you\ (?:say|ask) | come\ again | pardon
  | i\ (?:didn't|did\ not|couldn't|could\ not)\ (?:quite\ |really\ )?(?:hear|get|catch|understand|follow)
        (?:\ (?:you|{_SAID}))?(?:\ (?:clearly|properly|very\ well))?
  | i\ (?:don't|do\ not)\ (?:quite\ |really\ )?understand(?:\ {_SAID})?
  | what\ do\ you\ mean(?:\ by\ that)?
) {_TRAIL}"""
_WHILE = r"(?:a|one|just\ a|another)\ (?:little\ |few\ |short\ )?(?:moment|minute|second|sec|bit|while|seconds|moments|minutes)"
_THINKING = rf"""{_LEAD} (?:
    (?:let|allow)\ me\ (?:just\ )?(?:think|see|consider|reflect|remember|recall|gather\ my\ thoughts)
        (?:\ (?:about|on|over)\ (?:it|that|this|the\ question|this\ question|that\ question))?(?:\ (?:for\ )?{_WHILE})?
  | (?:may|can|could)\ i\ (?:please\ |just\ )?(?:think|have|take|get)(?:\ (?:about|on)\ (?:it|that|this|the\ question|this\ question))?
        (?:\ (?:for\ )?(?:{_WHILE}|some\ time|time))?(?:\ to\ think(?:\ about\ (?:it|that|this))?)?
  | (?:i\ (?:need|want)|i'd\ like|i\ would\ like|i'll\ need)\ (?:to\ think(?:\ about\ (?:it|that|this))?|{_WHILE}|some\ time|time)
        (?:\ (?:for\ )?{_WHILE})?(?:\ to\ think(?:\ about\ (?:it|that|this))?)?
  | (?:please\ )?(?:just\ )?(?:give\ me|wait|hold\ on|hang\ on)(?:\ (?:for\ )?{_WHILE})?(?:\ to\ think(?:\ about\ (?:it|that|this))?)?
  | (?:{_WHILE}|one\ moment|one\ second) | i(?:'m|\ am)\ (?:still\ )?thinking(?:\ about\ (?:it|that|this))?
  | i\ have\ to\ think(?:\ about\ (?:it|that|this))?(?:\ for\ {_WHILE})?
) {_TRAIL}"""
_REFUSAL = rf"""{_LEAD} (?:
    i\ (?:really\ |just\ |honestly\ )*(?:can't|cannot|can\ not|couldn't|could\ not)\ (?:really\ |honestly\ )?
        (?:think\ of|remember|recall|come\ up\ with|give\ you|name|answer|say)
        (?:\ (?:one|any|anything|it|that|this|more|an?\ example|any\ examples?|another|another\ one|that\ question|this\ question|such\ an?\ \w+))?
        (?:\ (?:more|else|off\ the\ top\ of\ my\ head|at\ the\ moment|at\ all|either))?
  | i\ (?:really\ |just\ |honestly\ )*(?:don't|do\ not)\ (?:really\ )?(?:know|remember|recall|have\ (?:one|any|an?\ example|anything(?:\ (?:else|more))?|any\ examples?|more))
        (?:\ (?:that|it|the\ answer|for\ that|to\ add|to\ say|about\ that|at\ all|more))*
  | i\ have\ no\ (?:idea|clue|example|examples) | no\ (?:idea|clue) | nothing\ (?:comes\ to\ mind|more|else|to\ add)
  | i\ have\ nothing\ (?:more|else|to\ add)(?:\ to\ (?:add|say))? | i've\ never\ (?:done|had|experienced)\ (?:that|this|it|one)
  | i\ have\ never\ (?:done|had|experienced)\ (?:that|this|it|one) | i(?:'m|\ am)\ not\ sure | not\ that\ i\ (?:can\ think\ of|remember)
  | that's\ (?:all|everything|it)(?:\ i\ (?:have|know|remember|can\ say))? | that\ is\ (?:all|everything)(?:\ i\ (?:have|know|remember|can\ say))?
) {_TRAIL}"""
_YES = rf"""(?: (?:oh|um+|uh+|well|okay|ok)\ )* (?:
    (?:yes|yeah|yep|yup|sure|correct|exactly|right|absolutely|definitely|certainly|of\ course|please\ do|indeed)
  | i\ do | i\ am | i(?:'m|\ am)\ sure | that's\ (?:right|correct|fine) | that\ is\ (?:right|correct|fine) | go\ ahead | okay | ok
) (?: \ (?: yes | yeah | please | sure | of\ course | i\ do | i\ am | i\ would | i'd\ like\ to | i\ would\ like\ to | i\ want\ to | i(?:'m|\ am)\ sure
    | go\ ahead | thanks | thank\ you | that's\ right | that\ is\ right | correct | now | absolutely | definitely
    | (?:i\ (?:want|would\ like)\ to\ |i'd\ like\ to\ |let's\ |you\ can\ |please\ )?(?:end|stop|finish)(?:\ (?:it|here|now|{_INTERVIEW}))*
) )*"""
_NO = rf"""(?: (?:oh|um+|uh+|well|okay|ok|sorry|actually)\ )* (?:
    no | nope | nah | not\ (?:really|yet|now|at\ all) | no\ way | don't | never\ mind | i\ (?:don't|do\ not)(?:\ want\ to)? | of\ course\ not
  | (?:please\ )?(?:go\ on|continue|carry\ on|keep\ going) | let's\ (?:go\ on|continue|carry\ on|keep\ going) | i\ have\ no(?:\ more)?\ questions
) (?: \ (?: no | not\ really | thanks | thank\ you | please | sorry | i\ (?:don't|do\ not)(?:\ want\ to(?:\ (?:end|stop)(?:\ (?:it|{_INTERVIEW}))?)?)?
    | (?:i\ (?:want|would\ like)\ to\ |i'd\ like\ to\ |let's\ |please\ |we\ can\ )?(?:go\ on|continue|carry\ on|keep\ going)(?:\ {_INTERVIEW})?
    | (?:i\ have\ )?(?:no\ )?(?:more\ |other\ |further\ )?questions | that's\ (?:all|it|fine) | that\ is\ all | nothing(?:\ else)? | not\ yet | at\ all
    | i'm\ (?:good|fine) | i\ (?:don't|do\ not)\ have\ any(?:\ (?:more\ )?questions)? | everything\ is\ clear | from\ (?:me|my\ side) | wait
) )*"""
_BACKCHANNEL = r"""(?: (?:
    m+h?m* | m+\ h?m+ | uh\ huh | uhhuh | hm+ | um+ | uh+ | ah+ | oh | okay | ok | yes | yeah | yep | right | sure | i\ see | got\ it
  | alright | all\ right | cool | fine | good | thanks | thank\ you
) (?:\ |$) )+"""
_ASKING = r"(?:and\ |so\ |okay\ )*(?:what|how|when|where|who|which|why|is|are|do|does|did|can|could|will|would|may|should)\ .+"

_ZH_LEAD = r"(?:嗯|呃|额|啊|哦|噢|那个|那|好的?|行|不好意思|抱歉|对不起|请问|请|您好|你好|其实|说实话|老实说|坦白说|谢谢|麻烦(?:您|你)?|这个|我想说|面试官|可能|要不)*"
_ZH_TRAIL = r"(?:一下|了|吧|吗|么|嘛|呢|啊|呀|哈|可以吗|可以么|好吗|行吗|行不行|可不可以|好不好|谢谢(?:您|你)?|抱歉|不好意思|先|再)*"
_ZH_WANT = r"(?:(?:我|我们|咱们?|能不能|能否|可不可以|可以|能|是否可以|想要?|要|希望|打算|还是|先|就|让|现在)*)"
_ZH_Q = r"(?:(?:这|那)?(?:一|个|道|一道|一个)*(?:题|题目|问题))"
_ZH_SKIP = (
    rf"{_ZH_LEAD}(?:{_ZH_WANT}(?:跳过|略过|跳到下一|过掉)(?:{_ZH_Q}|这个|它|这道)?|{_ZH_Q}{_ZH_WANT}(?:跳过|略过|不回答|不答|过)"
    rf"|{_ZH_WANT}(?:换|进入|看|来|问|去)?(?:下一|另一)(?:个|道)?(?:题|题目|问题)|{_ZH_WANT}换(?:一)?(?:个|道)(?:题|题目|问题)|我?不(?:想|太想|愿意)(?:回答|答|说|谈)(?:{_ZH_Q}|这个)?)"
    rf"{_ZH_TRAIL}"
)
_ZH_INTERVIEW = r"(?:(?:这个|这次|这场|本次)?(?:面试|通话|对话|访谈))"
_ZH_END = (
    rf"{_ZH_LEAD}(?:{_ZH_WANT}(?:结束|停止|终止|退出|中止|取消|离开){_ZH_INTERVIEW}|{_ZH_INTERVIEW}{_ZH_WANT}(?:结束|停止|到这里|到这儿|到此为止)"
    rf"|{_ZH_WANT}(?:到此为止|到这里|到这儿|结束)|(?:我)?不(?:想|要|打算)(?:再)?(?:继续|面试?)(?:{_ZH_INTERVIEW}|下去)?|我要?(?:挂断?|走|退出|先走|先挂)(?:电话)?|再见|拜拜)"
    rf"{_ZH_TRAIL}"
)
_ZH_HUMAN = r"(?:一个|一位|个|位)?(?:真人|人工|活人|真正的人|真人面试官|人类|人类面试官|真实的人|工作人员|招聘人员|你们的?(?:同事|人|HR|hr)|HR|hr)(?:面试官|客服|面试)?"
_ZH_PERSON = (
    rf"{_ZH_LEAD}(?:{_ZH_WANT}(?:和|跟|与|找|转|换|换成|接|由|联系|请)?{_ZH_HUMAN}(?:来)?(?:谈|聊|说|说话|谈谈|聊聊|沟通|交流|面试|对话|讲话)?(?:我)?"
    rf"|我?不(?:想|愿意)(?:和|跟|与|被)(?:机器人?|AI|ai|人工智能|电脑)(?:谈|聊|说话|面试|对话|沟通|交流))"
    rf"{_ZH_TRAIL}"
)
_ZH_REPEAT = (
    rf"{_ZH_LEAD}(?:(?:您|你)?{_ZH_WANT}(?:您|你)?{_ZH_WANT}(?:把?(?:{_ZH_Q}|刚才的?{_ZH_Q}?))?(?:再|重新|重复)(?:说|讲|问|念|读|重复|描述|解释)?(?:一)?(?:遍|次|下|回)?(?:{_ZH_Q})?"
    rf"|(?:我)?(?:刚才|刚刚)?(?:没|没有|没太|不太)(?:听清楚?|听到|听懂|听明白|听见|理解|明白|懂)(?:{_ZH_Q}|(?:您|你)的(?:意思|问题))?|(?:您|你)?(?:刚才|刚刚)?(?:说|问)(?:的是|的|了)?什么"
    rf"|(?:{_ZH_Q}|(?:您|你)的?(?:问题)?)是什么意思?|什么意思|{_ZH_WANT}(?:您|你)?{_ZH_WANT}(?:换(?:一)?(?:个|种)说法|解释(?:一)?下?(?:{_ZH_Q})?))"
    rf"{_ZH_TRAIL}"
)
_ZH_THINKING = (
    r"(?:嗯|呃|额|啊|哦|那个|好的?|不好意思|抱歉|请|麻烦(?:您|你)?|这个|这个问题|稍等)*"
    r"(?:(?:请|您|你|能不能|可以|能)*(?:让|容|给)?我(?:先|再|需要|得|要|可以|能|稍微|正在|还在|好好|仔细)*(?:一点时间)?(?:想|思考|考虑|回忆|理|整理)(?:想|考|虑|一想)?(?:一下|一会儿?|下|思路|片刻|几秒钟?)*"
    r"|(?:请)?给我(?:一点|点|一些|几秒钟?|一分钟|一会儿?)(?:的)?(?:时间)?(?:想|思考|考虑)?(?:一下|想)?|(?:请)?(?:稍等|等)(?:一下|一会儿?|会儿|我一下|片刻)?|我还没想好)"
    r"(?:吧|吗|啊|哈|呢|好吗|可以吗|行吗|谢谢|先)*"
)
_ZH_REFUSAL = (
    rf"{_ZH_LEAD}(?:我)?(?:真的?|实在|一时|暂时|现在|确实|还|也|都|有点|可能)*(?:想不出来|想不起来|想不到|想不出|不知道|不清楚|不太清楚|不记得|记不清|记不得|记不起来|没有了|没了|没有(?:这样的|这种|类似的|相关的)?(?:例子|经历|经验)"
    rf"|举不出(?:来|例子)?|说不上来|说不出来|答不上来|回答不了|不会|没什么(?:可|要|好)?(?:补充|说)的?|没有(?:别的|其他的?|更多)?(?:要?补充|可说)的?|没做过|没遇到过|就这些|就这么多)"
    rf"(?:例子|具体的?例子|这个|这样的例子|{_ZH_Q}|答案)?{_ZH_TRAIL}"
)
_ZH_YES = r"(?:嗯|哦|啊)*(?:是|是的|对|对的|好|好的|确定|确认|没错|可以|行|要|想|嗯|当然|结束吧?|是啊|对啊|确实)(?:是的|对|确定|确认|结束|面试|吧|啊|了|的|我|要|想|现在|谢谢|没错|请|就|嗯)*"
_ZH_NO = r"(?:嗯|哦|啊|那)*(?:不|不是|不用|不要|不想|没有|没|不了|不行|还没有?|继续|接着|暂时没有|算了|别)(?:了|的|是|用|要|想|结束|继续|吧|啊|谢谢|我|们|问题|别的|其他|什么|接着|来|面试|没有|想问|再|问|还|想了解|呢)*"
_ZH_BACKCHANNEL = (
    r"(?:嗯|哦|噢|啊|呃|额|好|好的|好吧|对|对的|是|是的|行|明白|明白了|了解|知道了|谢谢|ok|okay)+"
)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.VERBOSE)


def wants_to_skip(text: str) -> bool:
    return _is_request(text, _SKIP, _ZH_SKIP)


def wants_to_end(text: str) -> bool:
    return _is_request(text, _END, _ZH_END)


def wants_a_person(text: str) -> bool:
    return _is_request(text, _PERSON, _ZH_PERSON)


def wants_repeat(text: str) -> bool:
    """The question again, or in other words."""
    return _is_request(text, _REPEAT, _ZH_REPEAT)


def is_thinking(text: str) -> bool:
    """Asks for a moment."""
    return _is_request(text, _THINKING, _ZH_THINKING)


def is_refusal(text: str) -> bool:
    """Has nothing (more) to say to the question: no probe will help."""
    return _is_request(text, _REFUSAL, _ZH_REFUSAL)


def is_yes(text: str) -> bool:
    return _is_all(text, _YES, _ZH_YES)


def is_no(text: str) -> bool:
    return _is_all(text, _NO, _ZH_NO)


def is_backchannel(text: str) -> bool:
    """A listener's noise ("mm-hmm", "okay"), which should not stop a voice."""
    return _is_all(text, _BACKCHANNEL, _ZH_BACKCHANNEL)


def is_question(text: str) -> bool:
    """Asks something, by its mark or by its first word."""
    if text.rstrip().endswith(("?", "？", "吗", "呢")):
        return True
    sentences = _sentences(text)
    return bool(sentences) and _compiled(_ASKING).fullmatch(sentences[-1]) is not None


def only_asks(text: str) -> bool:
    """Every sentence is a question: this is no answer."""
    parts = [part for part in re.split(r"(?<=[.?!。？！])", text) if _sentences(part)]
    return bool(parts) and all(is_question(part) for part in parts)


def _sentences(text: str) -> list[str]:
    """Sentences in lower case with single spaces and no marks; Chinese without spaces."""
    found = []
    for sentence in _SENTENCE_END.split(text.translate(_APOSTROPHES).lower()):
        words = " ".join(_NOT_A_WORD.sub(" ", sentence.replace("-", " ")).split())
        if words:
            found.append(words)
    return found


def _is_chinese(text: str) -> bool:
    return re.search(r"[\u3400-\u9fff]", text) is not None


_COURTESY = re.compile(
    r"(?:thank you|thanks|thank you very much|please|sorry|is that okay|is that ok|谢谢|谢谢您|谢谢你|不好意思|抱歉|可以吗|好吗)"
)


def _is_request(text: str, english: str, chinese: str) -> bool:
    sentences = _sentences(text)
    while len(sentences) > 1 and _COURTESY.fullmatch(sentences[-1]):
        sentences.pop()
    return bool(sentences) and _matches(sentences[-1], english, chinese)


def _is_all(text: str, english: str, chinese: str) -> bool:
    """All of the utterance says so, not only its tail."""
    sentences = _sentences(text)
    return bool(sentences) and _matches(" ".join(sentences), english, chinese)


_LONGEST_REQUEST = 25
"""Words (or Chinese characters): nobody asks at greater length, and a pattern's work stays bounded."""


def _matches(words: str, english: str, chinese: str) -> bool:
    if _is_chinese(words):
        joined = words.replace(" ", "")
        return len(joined) <= _LONGEST_REQUEST and bool(_compiled(chinese).fullmatch(joined))
    return len(words.split()) <= _LONGEST_REQUEST and bool(_compiled(english).fullmatch(words))
