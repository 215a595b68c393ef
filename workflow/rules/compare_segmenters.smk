# compare_segmenters: the segmenter on pseudo masks and on true masks over several seeds, and told the tags on train, beside
# the pseudo masks that it learned from.


use rule train_segmenter as train_segmenter_seed with:
    output:
        segmenter=f"{SEGMENTER}/segmenter.safetensors",
        curves=f"{SEGMENTER}/training.csv",
    log:
        "logs/{experiment}/segment/variants/{supervision}-{seed}/train.log",
    benchmark:
        "results/{experiment}/benchmarks/segment/variants/{supervision}-{seed}/train.tsv"
    params:
        settings=rules.train_segmenter.params.settings,
        seed=lambda wildcards: wildcards.seed,
        code=code_of("stages.segment.train"),
        root=dataset_root,
        masks=lambda wildcards, input: f"--masks {input.masks}" if input.masks else "",
        work="results/{experiment}/work/segment/variants/{supervision}-{seed}",


use rule predict as predict_seed with:
    input:
        **dataset(),
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        segmenter=rules.train_segmenter_seed.output.segmenter,
    output:
        predictions=directory(f"{SEGMENTER}/{{view}}/{{split}}/{{shard}}"),
    log:
        "logs/{experiment}/segment/variants/{supervision}-{seed}/{view}/{split}/{shard}.log",
    benchmark:
        "results/{experiment}/benchmarks/segment/variants/{supervision}-{seed}/{view}/{split}/{shard}.tsv"


use rule score_masks as score_segmenter_seed with:
    input:
        unpack(train_list),
        **dataset(),
        index=rules.make_index.output.index,
        classes=rules.list_classes.output.classes,
        masks=segmenter_masks,
    output:
        score="results/{experiment}/evaluate/segmenters/{seed}/{stage}-{split}.json",
        confusion="results/{experiment}/evaluate/segmenters/{seed}/{stage}-{split}-confusion.csv",
        picture="results/{experiment}/evaluate/segmenters/{seed}/{stage}-{split}-confusion.png",
    log:
        "logs/{experiment}/evaluate/segmenters/{seed}/{stage}-{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/segmenters/{seed}/{stage}-{split}.tsv"
    params:
        threshold="",
        seed=lambda wildcards: wildcards.seed,
        root=dataset_root,
        code=code_of("stages.evaluate.score_masks"),


rule write_segmenter_table:
    input:
        scores=segmenter_scores,
    output:
        table=report(
            "results/{experiment}/evaluate/compare_segmenters.csv",
            caption="../report/segmenters.rst",
            category="Tables",
            labels={"table": "compare_segmenters", "shows": "rows"},
        ),
        markdown="results/{experiment}/evaluate/compare_segmenters.md",
    log:
        "logs/{experiment}/evaluate/compare_segmenters.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate/compare_segmenters.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(1000),
        runtime=5,
    params:
        code=code_of("stages.evaluate.compare_segmenters"),
    shell:
        "python -m stages.evaluate.compare_segmenters --scores {input.scores} --table {output.table}"
        " --markdown {output.markdown} &> {log}"


rule compare_segmenters:
    input:
        results("evaluate/compare_segmenters.md"),
