"""The phrases by which a candidate plainly asks for something, in a small notation.

`[a|b]` may be there, `(a|b)` is one of these, `{a|b}` any number of these, `<name>` stands for the
part of that name. A request is `<lead>`, one phrase, `<trail>`, and nothing else. English is in
lower case without marks; Chinese has no blanks. `agent.intents` compiles and matches them.
"""

from __future__ import annotations

Parts = dict[str, str]
Phrases = dict[str, tuple[str, ...]]

ENGLISH_PARTS: Parts = {
    "lead": "{<sound>|okay|ok|so|and|but|yes|yeah|no|hi|hello|hey|actually|sorry|excuse me|pardon"
    "|i'm [so|very|really] sorry|i am [so|very|really] sorry|please|maybe|perhaps|i think|i guess"
    "|i'm afraid|honestly|to be honest|in that case|you know|listen|thanks|thank you [very much]"
    "|(that's|that is) a good question|good question|of course|sure|right|alright|all right|then"
    "|<if fine>}",
    "trail": "{please|now|right now|here|then|thanks|thank you|sorry|actually|though|instead"
    "|for me|for now|first|again|once more|one more time|today|<if fine>|is that <fine>"
    "|if you (can|could|don't mind|would)|if i (may|can|could)}",
    "sound": "oh|ah|um|umm|uh|hm|hmm|er|well",
    "fine": "okay|ok|all right|alright|fine|possible",
    "if fine": "if (that is|that's|it is|it's) <fine>|if possible",
    "want": "i (want|wanna|need|wish|prefer) [to]|i (would like|would prefer|have) to"
    "|i'd (like|prefer) to|i'd rather|i would rather|let's|let us|please|just|do you mind if (we|i)"
    "|(can|could|may|might|shall|should) (we|i|you) {please|just|maybe|perhaps|possibly}"
    "|would you [please|mind]|i think (we|i) should|is it <fine> (if (we|i)|to|for (me|us) to)",
    "adverb": "{just|rather|really|please|now|maybe|also}",
    "this": "it|this|that|[this|that|the] (one|question)",
    "interview": "[the|this|our|my] (interview|call|conversation|session)",
    "human": "[a|an|the|any] {real|actual|live|human} (person|human [being]|recruiter)"
    "|someone (real|human|else)|somebody (real|else)|a (real|human) (interviewer|colleague)",
    "machine": "(a|an|the|this) (ai|machine|robot|computer|bot|voice)",
    "said": "that|it|this|(the|your|this|that) [last] question|what you said|yourself",
    "while": "(a|one|just a|another) [little|few|short] (moment|minute|second|sec|bit|while)"
    "|a few (moments|minutes|seconds)",
    "about": "(about|on|over) (it|that|this|[the|this|that] question)",
    "cannot": "can't|cannot|can not|couldn't|could not",
    "do not": "don't|do not",
    "an example": "one|any|anything|[an|any|such an] (example|examples)|another [one]",
    "say": "repeat|rephrase|reword|re read|say|read|ask|explain|clarify",
    "otherwise": "in (other|another|different) (words|word|way)|differently|more slowly|slower",
    "did not": "didn't|did not|couldn't|could not",
    "think": "think|see|consider|reflect|remember|recall|gather my thoughts",
    "agree": "yes|yeah|yep|yup|sure|correct|exactly|right|absolutely|definitely|certainly"
    "|i [do] (agree|consent)"
    "|of course|please do|indeed|that's (right|correct|fine)|that is (right|correct|fine)",
    "stop": "(end|stop|finish) {it|here|now|<interview>}",
    "deny": "no|nope|nah|not (really|yet|now|at all)|no way|don't|never mind|not yet|at all"
    "|i <do not> (agree|consent)|(i'd|i would) rather not",
    "go on": "[please|let's|we can|i want to|i'd like to|i would like to]"
    " (go on|continue|carry on|keep going) [with] [<interview>]",
}

ENGLISH: Phrases = {
    "skip": (
        "<want> <adverb> (skip|pass on|leave out) [<this>]",
        "<want> <adverb> (not|rather not) answer [<this>]",
        "<want> <adverb> (go|move|skip|jump) [on|ahead] [to] (the next|another) [one|question]",
        "<want> <adverb> (have|take) (the next|another) (one|question)",
        "<want> <adverb> (go on|move on|pass)",
        "skip [<this>]",
        "pass [on <this>]",
        "(i'd|i would) rather not [(answer|say) [<this>]]",
        "i <do not> want to answer [<this>]",
        "(i'll|i will) pass [on <this>]",
        "[the] next [question|one]",
    ),
    "end": (
        "<want> <adverb> (end|stop|quit|finish|leave|terminate|cancel|abort|exit) <interview>",
        "<want> <adverb> (end|stop|finish|leave) [it|this|things] (here|now|there|early)",
        "<want> <adverb> (end|stop|quit) [it|this]",
        "<want> <adverb> (hang up|leave|go|withdraw [from <interview>]|call it a day)",
        "(end|stop|quit|finish|cancel) <interview>",
        "i <do not> want to (continue|go on|do) [with] [<interview>|this] [any more|anymore]",
        "(i'm|i am) done (with <interview>|here)",
        "i (must|gotta) (go|leave|hang up)",
        "(goodbye|good bye|bye [bye])",
    ),
    "person": (
        "<want> <adverb> (speak|talk|chat) (to|with) (<human>) [instead] [instead of <machine>]",
        "<want> <adverb> (speak|talk|chat) (to|with) someone instead [of <machine>]",
        "<want> <adverb> be interviewed by (<human>)",
        "<want> <adverb> do (this|it|<interview>) with (<human>)",
        "(i want|i need|i would like|i'd like|i prefer|i'd prefer) (<human>)",
        "(can|could|may) (i|you) [please] (get|have|give me|put me through to) (<human>)",
        "(can|could) you [please] (connect|transfer) me (to|with) (<human>)",
        "i <do not> want to (speak|talk|be interviewed) (to|with|by) <machine>",
        "(speak|talk) to (<human>)",
        "[a] (real|human) (person|human|being)",
    ),
    "repeat": (
        "(can|could|would|will) (you|we) {please|maybe|just|kindly} <say>"
        " [<said>] [again] [<otherwise>]",
        "(would|do) you mind (repeating|saying|rephrasing) [<said>]",
        "(repeat|say|rephrase) [<said>]",
        "(may|can|could) (i|we) hear <said>",
        "(i'd|i would) like (you to repeat|to hear) [<said>]",
        "what was (that|the question|your question)",
        "what did you (say|ask)",
        "(come again|pardon [me])",
        "i <did not> {quite|really} (hear|get|catch|understand|follow) [you|<said>] [properly]",
        "i <do not> {quite|really} understand [<said>]",
        "what do you mean [by that]",
    ),
    "thinking": (
        "(let|allow) me [just] <think> [<about>] [[for] <while>]",
        "(may|can|could) i {please|just} think [<about>] [[for] <while>]",
        "(may|can|could) i {please|just} (have|take|get) (<while>|some time) [to think [<about>]]",
        "i (need|want|have|would like) to think [<about>] [[for] <while>]",
        "i'd like to think [<about>] [[for] <while>]",
        "(i need|i want|i'd like|i would like) (<while>|some time|time) [to think [<about>]]",
        "[just] (give me|wait|hold on|hang on) [[for] <while>] [to think [<about>]]",
        "<while>",
        "(i'm|i am) [still] thinking [<about>]",
    ),
    "refusal": (
        "i {really|just|honestly} <cannot> [really] (think of|come up with|name|give you)"
        " (<an example>) [right now|at the moment|off the top of my head]",
        "i {really|just|honestly} <cannot> [really] (remember|recall|answer|say)"
        " [<an example>|that|this|it|<this>] [more|at the moment]",
        "i {really|just|honestly} <do not> [really] (know|remember|recall)"
        " [that|it|the answer|more|about that]",
        "i {really|just|honestly} <do not> [really] have (<an example>|more) [else] [for that]",
        "i have no (idea|clue|example|examples)",
        "no (idea|clue)",
        "nothing (comes to mind|more|else|to add)",
        "i have nothing (more|else|to add) [to (add|say)]",
        "(i've|i have) never (done|had|experienced) (that|this|it|one|<an example>)",
        "(i'm|i am) not sure",
        "not that i (can think of|remember|recall)",
    ),
    "yes": (
        "{<sound>|well|okay|ok} (<agree>|i do|i am|(i'm|i am) sure|go ahead|okay|ok|you may)"
        " {<agree>|please|i do|i am|i would|i want to|(i'm|i am) sure|go ahead|thanks|thank you"
        "|you (may|can)|(that's|that is) (fine|okay|ok|all right)"
        "|(i'd|i would) like to|now|(i want to|i'd like to|let's|please) <stop>|<stop>}",
    ),
    "no": (
        "{<sound>|okay|ok|sorry|actually} (<deny>|i <do not> [want to]|of course not|<go on>"
        "|i have no [more] questions) {<deny>|thanks|thank you|please|sorry|wait|<go on>"
        "|i <do not> [want to [<stop>]]|[i have] [no] [more|other|further] questions|nothing [else]"
        "|i <do not> have any [more] [questions]|that's (all|it|fine)|that is all"
        "|i'm (good|fine)|everything is clear|from (me|my side)}",
    ),
    "asks": (
        "{and|so|okay|but} (what|how|when|where|who|which|why|is|are|do|does|did|can|could|will"
        "|would|may|should) <words>",
    ),
}

CHINESE_PARTS: Parts = {
    "lead": "{嗯|呃|额|啊|哦|噢|那|那个|好|好的|行|不好意思|抱歉|对不起|请问|请|您好|你好|其实"
    "|说实话|老实说|坦白说|谢谢|麻烦|麻烦您|麻烦你|帮我|这个|面试官|可能|要不}",
    "trail": "{一下|了|吧|吗|么|嘛|呢|啊|呀|哈|可以吗|可以么|好吗|行吗|行不行|可不可以|好不好"
    "|谢谢|谢谢您|谢谢你|抱歉|不好意思|先|再}",
    "want": "{我|我们|咱们|能不能|能否|可不可以|可以|能|是否可以|想|要|希望|打算|还是|先|就|让"
    "|现在}",
    "question": "[这|那|刚才的|刚才那] [一] [个|道] (题|题目|问题)",
    "interview": "[这个|这次|这场|本次] (面试|通话|对话|访谈)",
    "human": "[一] [个|位] (真人|人工|活人|人类|真正的人|真实的人|招聘人员|工作人员|人力"
    "|你们的同事|hr) [面试官|客服|同事]",
    "you": "[您|你]",
    "talk": "(谈|聊|说|谈谈|聊聊|说话|沟通|交流|面试|对话|讲话)",
    "pause": "{想|考|虑|一想|一下|一会|一会儿|下|思路|片刻|几秒|几秒钟}",
    "really": "{真|真的|实在|一时|暂时|现在|确实|还|也|都|有点|可能}",
    "tell": "说|讲|问|念|读|重复|描述|解释",
    "catch": "(听清|听清楚|听到|听懂|听明白|听见|理解|明白|懂)",
    "what": "例子|具体例子|具体的例子|这个|这样的例子|答案|<question>",
}

CHINESE: Phrases = {
    "skip": (
        "<want> (跳过|略过|跳到下一) [<question>|这个|它|这道]",
        "<question> <want> (跳过|略过|不回答|不答|过)",
        "<want> [换|进入|看|来|问|去|到] (下一|另一) [个|道] (题|题目|问题)",
        "<want> 换 [一] [个|道] (题|题目|问题)",
        "[<question>] [我] 不 (想|太想|愿意) (回答|答|说|谈) [<question>|这个]",
    ),
    "end": (
        "<want> (结束|停止|终止|退出|中止|取消|离开) <interview>",
        "<interview> <want> (结束|停止|到这里|到这儿|到此为止)",
        "<want> (到此为止|到这里|到这儿|结束)",
        "[我] 不 (想|要|打算) [再] (继续|面|面试) [<interview>|下去]",
        "[我] [要|得] (挂|挂断|走|退出|先走|先挂) [电话]",
        "(再见|拜拜)",
    ),
    "person": (
        "<want> (和|跟|与|找|转|换|换成|接|由|联系|请) <human> [来] [<talk>]",
        "[我] (想要|要|需要) <human> [来] [<talk>]",
        "[我] (不想|不愿意) (和|跟|与|被) (机器|机器人|ai|人工智能|电脑) <talk>",
        "<human>",
    ),
    "repeat": (
        "<you> <want> <you> <want> [把] [<question>] (再|重新|重复) [<tell>] [一] [遍|次|下|回]"
        " [<question>]",
        "[我] [刚才|刚刚] (没|没有|没太|不太) <catch> [<question>|您的意思|你的意思|您的问题]",
        "<you> [刚才|刚刚] (说|问) [的是|的|了] 什么",
        "[<question>|你的问题|您的问题] 是什么意思",
        "什么意思",
        "<you> <want> <you> <want> (换 [一] (个|种) 说法|解释 [一下] [<question>])",
    ),
    "thinking": (
        "[请|您|你] [能不能|可以|能] [让|容|给] 我 {先|再|需要|得|要|可以|能|稍微|正在|还在|好好"
        "|仔细} [一点时间] (想|思考|考虑|回忆|理|整理) <pause>",
        "[请] 给我 (一点|点|一些|几秒|几秒钟|一分钟|一会|一会儿) [的] [时间] [想|思考|考虑]"
        " [一下|想]",
        "[请] (稍等|等) [一下|一会|一会儿|会儿|我一下|片刻]",
        "我还没想好",
    ),
    "refusal": (
        "[我] <really> (想不出来|想不起来|想不到|想不出|不知道|不清楚|不太清楚|不记得|记不清"
        "|记不得|记不起来|举不出|举不出来|说不上来|说不出来|答不上来|回答不了|不会) [<what>]",
        "[我] <really> 没有 [这样的|这种|类似的|相关的] (例子|经历|经验)",
        "[我] <really> 没什么 [可|要|好] (补充|说) [的]",
        "[我] <really> (没有了|没了|没做过|没遇到过|没有别的|没有其他|没有其他的|没有要补充的)",
    ),
    "yes": (
        "{嗯|哦|啊} (是|是的|对|对的|好|好的|确定|确认|没错|可以|行|要|想|嗯|当然|结束"
        "|同意|我同意|接受|我接受|愿意|我愿意|没问题)"
        " {是的|是|对|可以|同意|接受|愿意|没问题|确定|确认|结束|面试|吧|啊|了|的|我|要|想|现在|谢谢"
        "|没错|请|就|嗯}",
    ),
    "no": (
        "{嗯|哦|啊|那|我} (拒绝|不|不是|不用|不要|不想|没有|没|不了|不行|还没|还没有|继续|接着"
        "|暂时没有|算了|别) {了|的|是|用|不|要|想|同意|接受|愿意|结束|继续|吧|啊|谢谢|我|我们|问题"
        "|别的|其他|什么|接着|来|面试|没有|想问|再|问|还|想了解|呢}",
    ),
    "asks": ("<words>",),
}

BACKCHANNELS = frozenset(
    {"mm", "mmm", "m", "mhm", "mmhm", "hm", "hmm", "hmmm", "um", "umm", "uh", "uhhuh", "huh"}
    | {"ah", "aha", "oh", "okay", "ok", "yes", "yeah", "yep", "right", "sure", "alright"}
    | {"cool", "fine", "good", "thanks"}
)
"""Words of which a listener's noise consists; with a few of two words."""
BACKCHANNEL_PAIRS = ("i see", "got it", "all right", "thank you")
CHINESE_BACKCHANNEL = (
    "{嗯|哦|噢|啊|呃|额|好|好的|好吧|对|对的|是|是的|行|明白|明白了|了解|知道了|谢谢}"
)
